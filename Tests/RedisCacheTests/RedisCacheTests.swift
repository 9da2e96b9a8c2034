// RedisCache
