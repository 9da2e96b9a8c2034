// MetadataPostgres
