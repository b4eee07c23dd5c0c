// Values of a configuration that look like secrets, taken out of what people are shown.

const MASK = '***';

/** A name that speaks of a secret, and what follows it in the line. */
const NAMED =
  /((?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|credential|authorization)[\w.-]{0,60}["']?[ \t:=]{1,20})\S.*$/gim;
/** The part before `@` in a URL. */
const IN_URL = /(:\/\/)[^\s/@"']{1,300}@/g;
/** A key in the armour of PEM. */
const KEY = /(-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----)[\s\S]*?(?=-----END|$)/g;
/** A line of Base64: in a diff the armour may lie outside of what is shown. */
const BASE64 = /^([-+ ]?)[A-Za-z0-9+/]{40,}={0,2}$/gm;

/**
 * The text with the rest of each line masked that follows a name such as `password` or `api_key`, and with the user's part of
 * URLs and private keys masked. A help and no guarantee: a secret under another name stays.
 */
export function maskLines(text: string): string {
  return text
    .replace(KEY, `$1 ${MASK} `)
    .replace(BASE64, `$1${MASK}`)
    .replace(IN_URL, `$1${MASK}@`)
    .replace(NAMED, `$1${MASK}`);
}
