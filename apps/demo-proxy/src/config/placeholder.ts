/** What other systems replace and this one does not, each in a form that shows no value. */
const SYNTAXES: readonly (readonly [pattern: RegExp, shown: string])[] = [
  [/\$\{/, "${...} in what a reference stands for"],
  [/\{\{.*\}\}/s, "{{ ... }}"],
  [/^\$[A-Za-z_]\w*$/, "$NAME"],
  [/^\$\(.*\)$/, "$(...)"],
  [/^%[A-Za-z_]\w*%$/, "%NAME%"],
  [/^#\{.*\}#?$/, "#{...}"],
  [/^\(\(.*\)\)$/, "((...))"],
  [/^<[^<>]*>$/, "<...>"],
  [/^\[[A-Z][A-Z _-]*\]$/, "[...]"],
  [/^@[A-Za-z_][\w.]*@$/, "@NAME@"],
  [/^__[A-Za-z]\w*__$/, "__NAME__"],
  [/^ENC[[(]/, "ENC[...]"],
  [/^\$ANSIBLE_VAULT;/, "$ANSIBLE_VAULT"],
  [/^!(vault|secret|env|ref|sub|include|file)\b/i, "!vault"],
  [/^@Microsoft\.KeyVault\(/i, "@Microsoft.KeyVault(...)"],
  [
    /^(env|file|op|vault|secret|secretref|sm|ssm|akv|gcpsecretmanager|awssecretsmanager|ref\+\w+|arn:aws\w*):/i,
    "env:, file:, vault: and the like",
  ],
  [/^(process\.env|os\.environ|env)[.[(]/, "env.NAME"],
  [/^\/(run|var|etc|mnt|home|opt|root|secrets|tmp)\//, "the path of a file"],
  [/^(\*{3,}|\u2022+)$/, "***"],
];

/** What stands in examples until somebody replaces it. */
const WORDS: readonly RegExp[] = [
  /^(change|replace)(me|this|it)+$/,
  /^((change|replace)me)+$/,
  /^(placeholder|todo|fixme|tbd|undefined|null|none|nan|alongrandomtext)$/,
  /^(your|insert|enter|paste|put|replacewith)\w*(token|secret|password|key|here)\w*$/,
  /^(.)\1+$/,
];

/** What kind of placeholder a whole secret is, if it is one. */
export function placeholderIn(secret: string): string | undefined {
  const [, syntax] = SYNTAXES.find(([pattern]) => pattern.test(secret)) ?? [];
  if (syntax !== undefined) return syntax;
  const word = secret.toLowerCase().replaceAll(/[\s._-]/g, "");
  return WORDS.some((pattern) => pattern.test(word)) ? "a word that stands for one" : undefined;
}

/** What kind of placeholder a part of an address or of a path is, if one is. */
function placeholderInParts(text: string): string | undefined {
  if (/\{\{.*\}\}/s.test(text)) return "{{ ... }}";
  for (const part of text.split(/[/\\?&=:@,]+/)) {
    // Azure names containers so: $web, $root, $logs.
    if (/^\$[a-z]+$/.test(part)) continue;
    const [, syntax] = SYNTAXES.find(([pattern]) => pattern.test(part)) ?? [];
    if (syntax !== undefined) return syntax;
  }
  return undefined;
}

/** @throws RangeError when a part of an address or of a path is a placeholder. */
export function refusePlaceholders(text: string): void {
  const kind = placeholderInParts(text);
  if (kind !== undefined) throw new RangeError(placeholderText(kind));
}

/** The complaint about one. */
export function placeholderText(kind: string): string {
  return `a placeholder that nothing replaces here: ${kind}; write \${NAME} for a variable of the environment, \${file:PATH} for a file`;
}
