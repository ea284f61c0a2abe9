import type { StoredChange } from "@usage/counter-core";

/** Which settings operators may change by API, and of what. */
export const SETTINGS = {
  backend: ["limits", "thresholds", "drained"],
  client: ["limits", "plan"],
  plan: ["limits"],
} as const;

export type SubjectKind = keyof typeof SETTINGS;

export type SettingName = (typeof SETTINGS)[SubjectKind][number];

/** Whose setting it is. */
export interface SettingSubject {
  readonly kind: SubjectKind;
  readonly name: string;
}

/** A change of a setting. Undefined values: what the file says. */
export interface KnownChange extends Omit<StoredChange, "subject" | "setting" | "value" | "before"> {
  readonly subject: SettingSubject;
  readonly setting: SettingName;
  readonly value: unknown;
  readonly before: unknown;
}

const SUBJECT = /^(backend|client|plan) (.+)$/s;

/** As the store has it. */
export function subjectText({ kind, name }: SettingSubject): string {
  return `${kind} ${name}`;
}

/** None where it is of something that this version does not know. */
export function changesOf({ subject, setting, value, before, ...rest }: StoredChange): readonly KnownChange[] {
  const [, kind, name] = SUBJECT.exec(subject) ?? [];
  if (name === undefined || !isSettingOf(kind as SubjectKind, setting)) return [];
  const parsed = (json: string | null): unknown => (json === null ? undefined : JSON.parse(json));
  return [
    { ...rest, subject: { kind: kind as SubjectKind, name }, setting, value: parsed(value), before: parsed(before) },
  ];
}

function isSettingOf(kind: SubjectKind, setting: string): setting is SettingName {
  const known: readonly string[] = SETTINGS[kind];
  return known.includes(setting);
}
