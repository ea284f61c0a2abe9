export { type NginxOptions, type NginxServer, startNginx } from "./nginx.ts";
export { type PostgresServer, startPostgres } from "./postgres.ts";
