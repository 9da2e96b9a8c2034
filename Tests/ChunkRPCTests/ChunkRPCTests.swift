// ChunkRPC
