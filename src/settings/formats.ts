// The names of formats, as FORMAT and SOURCE_FORMAT spell them.

/** FORMAT: what is written. `raw`: the bytes as they came. */
export const FORMATS = ['json', 'yaml', 'toml', 'ini', 'env', 'properties', 'raw'] as const;

/** SOURCE_FORMAT: what a document is. `text`: one text; `bytes`: nothing that can be looked into. */
export const SOURCE_FORMATS = ['json', 'yaml', 'toml', 'ini', 'env', 'properties', 'text', 'bytes'] as const;

/** Other spellings that are taken for one of them. */
export const FORMAT_ALIASES = { yml: 'yaml', dotenv: 'env' } as const;
