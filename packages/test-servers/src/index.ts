export { type Direction, type FaultProxy, type FaultProxyOptions, startFaultProxy } from "./fault-proxy.ts";
export { type Instance, type InstanceExit, type InstanceOptions, startInstance } from "./instance.ts";
export { type NginxOptions, type NginxServer, startNginx } from "./nginx.ts";
export { type PostgresServer, startPostgres } from "./postgres.ts";
export { type RedisOptions, type RedisServer, type RedisSnapshot, startRedis } from "./redis.ts";
export type { RedisVersion } from "./redis-binary.ts";
export { type RedisCluster, type RedisClusterOptions, startRedisCluster } from "./redis-cluster.ts";
export { type RedisReplica, startReplica } from "./redis-replica.ts";
