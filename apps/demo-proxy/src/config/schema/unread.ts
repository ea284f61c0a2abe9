import type { PemFile, TlsConfig, TlsFiles } from "../proxy-config.ts";

/** A section with the paths of the files that are not read yet. */
export type Unread<Section> = Section extends { readonly ca?: PemFile }
  ? Omit<Section, "ca"> & { readonly ca?: string }
  : Section extends { readonly tls?: TlsConfig }
    ? Omit<Section, "tls"> & { readonly tls?: TlsFiles }
    : Section;
