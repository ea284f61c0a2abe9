/** One thing that is wrong with a configuration, and what to do about it. */
export interface Complaint {
  /** Where in the file; absent when it is about the file as a whole. Both count from 1. */
  readonly position?: { readonly line: number; readonly column: number };
  /** The path of the setting, as in `backends[0].url`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

/** A configuration that cannot be used. The message has one line for each complaint and never holds a secret. */
export class ConfigError extends Error {
  readonly code = "USAGE_PROXY_CONFIG";
  readonly file: string;
  readonly complaints: readonly Complaint[];

  constructor(file: string, complaints: readonly Complaint[], options?: ErrorOptions) {
    super(complaints.map((complaint) => line(file, complaint)).join("\n"), options);
    this.name = "ConfigError";
    this.file = file;
    this.complaints = complaints;
  }
}

function line(file: string, { position, path, message }: Complaint): string {
  const place = position === undefined ? file : `${file}:${position.line}:${position.column}`;
  return path === "" ? `${place}: ${message}` : `${place} ${path}: ${message}`;
}
