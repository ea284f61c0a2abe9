// Loaded before the proxy: however the demo ends, its proxies end, and in order.
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
// The channel is there for its end alone, and keeps no process running.
process.channel?.unref();
