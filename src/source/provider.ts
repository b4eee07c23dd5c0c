// The provider contract: what every source promises, and the shapes it speaks in. A provider is one file in `providers/`.

/** One key of a tree: the part of its name below the source's prefix, with its slashes. */
export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Of a file that the source marks so (git); a directory output carries it over. */
  readonly isExecutable?: boolean;
}

/**
 * What a source holds. `nothing` means the source answered and said that there is nothing (no keys, an empty
 * document); a source that could not be asked throws instead.
 */
export type Content =
  | { readonly kind: 'tree'; readonly entries: readonly Entry[] }
  | {
      readonly kind: 'document';
      readonly bytes: Uint8Array;
      /** Last part of the path, for its extension: `app.yaml`. */
      readonly name: string;
      /** Media type without parameters, lower case, or null when the source has none. */
      readonly contentType: string | null;
      /** JSON Pointer (RFC 6901) to the part that counts, from the URL's fragment; null or '' for the whole. */
      readonly pointer: string | null;
    }
  | { readonly kind: 'nothing' };

/** Everything a source held at one moment. Never a delta, never partial. */
export interface Snapshot {
  /** The source's own version of the content; compared for equality only. */
  readonly revision: string;
  readonly content: Content;
  /** What the source says of this version, for a person: author, time and subject of a commit. Bounded, without control characters. */
  readonly note?: string;
}

/** How a document is read that says it neither by its name nor by its content type. */
export type DocumentFormat = 'json' | 'yaml' | 'toml' | 'ini' | 'env' | 'properties' | 'text' | 'bytes';

/** What one of several sources holds, and its place among the others. */
export interface MergedPart {
  /** The URL as it may be shown. */
  readonly source: string;
  /** The top-level key under which its data stands; null: at the top. */
  readonly name: string | null;
  /** That it holds nothing counts as an empty map. */
  readonly optional: boolean;
  /** What its document is; undefined: as SOURCE_FORMAT says. */
  readonly format: DocumentFormat | undefined;
  readonly snapshot: Snapshot;
}

/** What several sources hold together: a later part goes before an earlier one. Merged when it is read. */
export interface Merged {
  readonly kind: 'merged';
  /** In the order of SOURCE; at least one. */
  readonly parts: readonly MergedPart[];
}

/** What a target gets to see: the snapshot of its source, or of all of its sources. */
export interface TargetSnapshot {
  /** Of several sources their revisions, joined by `,`. */
  readonly revision: string;
  readonly content: Content | Merged;
}

/** What one contact with the source brought. `same`: it was asked, and it is what was yielded last. */
export type Observation =
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
  | { readonly kind: 'same' };

/**
 * Follows one source. The law, which `test/support/source/provider-contract.ts` checks for every provider:
 *
 * 1. Every snapshot is complete; no deltas leave a provider. It is read at one revision wherever the source can do
 *    that. "Asked, and it is still the same" is said too: it is contact.
 * 2. In doubt, throw. Never yield partial or defaulted data: the caller keeps what it has.
 * 3. "There is nothing" and "I could not ask" are different: the first is a snapshot that says so, the second an error.
 * 4. `watch` returns promptly when its signal aborts and has released everything by then. (`return()` on an async
 *    generator does not interrupt a pending await: pass the signal to every wait.)
 * 5. No retries, back-off, de-duplication, throttling or logging in a provider: the loop does those once, for all
 *    alike. After an error the generator is finished; the loop calls `watch` again.
 * 6. A cursor (ETag, index, revision) is remembered only together with the snapshot it belongs to, after that was
 *    read whole. It does not outlive its `watch`.
 * 7. Every wait on the network has a deadline of its own besides the signal; a silent connection is a dead one.
 * 8. A cursor that goes backwards, or was compacted away, means: read everything again, at once.
 * 9. Opening checks the options and touches no network.
 */
export interface Provider {
  /** The URL as it may be shown: without credentials. */
  readonly source: string;
  /** Equal for providers that read the same, in the same way and as the same user; undefined: like no other. Holds secrets. */
  readonly identity?: string;
  /**
   * Yields a snapshot first, then one observation per contact, until the signal aborts (then it returns) or
   * something is wrong (then it throws a SidecarError of stage `source`).
   */
  watch(signal: AbortSignal): AsyncGenerator<Observation, void, void>;
}

/** What a provider is given besides its URL. */
export interface ProviderOptions {
  /** A polled source is read this often; a watched one is read whole and compared this often (at most every 10 s). */
  readonly updateFrequencyMs: number;
  /** Bound of one read. */
  readonly fetchTimeoutMs: number;
  /** Bound of one snapshot, after decompression. */
  readonly maxBytes: number;
  /**
   * The value of a setting that belongs to this kind of source (`HTTP_TOKEN`, `ETCDCTL_CACERT`), or undefined when
   * it is not set. Ask again at every use: secrets given as `X_FILE` are read from disk each time, so rotation works.
   */
  readonly setting: (name: string) => string | undefined;
  /** The environment's proxy variables (`http_proxy`, `HTTPS_PROXY`, `NO_PROXY`, …) and nothing else. */
  readonly proxyEnv: Readonly<Record<string, string | undefined>>;
  /** The variables of the environment that kinds of source name as `platform`, and nothing else. */
  readonly platformEnv?: Readonly<Record<string, string | undefined>>;
  /** The environment's PATH, where a program that a source needs is looked for; undefined: the system's usual places. */
  readonly searchPath?: string | undefined;
  /**
   * A private directory that survives a restart, for what a source has to keep on disk (a git repository); it need not exist
   * yet. null while it is not ours alone: then, and without this function, a source uses a temporary directory and removes it.
   * Ask again at every use.
   */
  readonly workDirectory?: () => string | null;
}

/**
 * Makes the provider of a URL that was read. Throws a SidecarError (`settings.source`) when the credentials cannot work;
 * touches no network and starts nothing.
 */
type OpenOne = (options: ProviderOptions) => Provider;

/** One of several sources that are followed together. */
export interface SourcePart extends Omit<MergedPart, 'source' | 'snapshot'> {
  readonly provider: Provider;
}

/** Several sources that look like one to the code that follows them. */
export interface ProviderGroup {
  /** Their URLs as they may be shown, with their names, separated by blanks. */
  readonly source: string;
  readonly parts: readonly SourcePart[];
}

/** Opens everything that a target follows. Throws and touches as `OpenOne`. */
export type OpenProvider = (options: ProviderOptions) => Provider | ProviderGroup;

/** A setting that belongs to one kind of source. The table of settings takes it over, with flag, file key and help. */
export interface SourceSetting {
  /** How its text is read: `token` and `headers` travel in HTTP headers, a `word` has no blanks, a `path` is made absolute. */
  readonly kind: 'text' | 'token' | 'word' | 'path' | 'headers';
  /** One line, Markdown. */
  readonly meaning: string;
  /** What of it must never be shown: all of it, or what follows the colon in `user:password`. Also given as `X_FILE`. */
  readonly secret?: 'whole' | 'user';
}

/** What was given, as far as the check of a source's own settings asks. */
export interface GivenSettings {
  readonly has: (name: string) => boolean;
  /** `HTTP_CERT "/c.pem"`: how the user gave it, secrets masked. */
  readonly said: (name: string) => string;
}

/** A source's URL, read once. */
export interface SourceUrl {
  readonly kind: SourceKind;
  /** The URL, or the absolute path; credentials included. */
  readonly text: string;
  /** The absolute path that is followed, of a source on a local volume; null of any other. */
  readonly path: string | null;
  /** A sentence for each of the source's own settings that does not go with this URL or with another setting. */
  readonly settingsMistakes: (given: GivenSettings) => readonly string[];
  /** Loads what it takes to follow this source, client library included. */
  readonly load: () => Promise<OpenOne>;
}

/** Everything that one kind of source is, besides following it. `src/settings/sources.ts` lists them. */
export interface SourceKind {
  /** In a sentence: `etcd`, `an HTTP API`. */
  readonly name: string;
  /** Lower case; no other kind has them. */
  readonly schemes: readonly string[];
  /** What a URL looks like, for the reference. Markdown. */
  readonly form: string;
  /** Its own settings by their names: those of the store's own tools, where they have one. */
  readonly settings: Readonly<Record<string, SourceSetting>>;
  /** Variables of the store's own tools that have no effect here, each with what to do instead: one sentence. */
  readonly unread: Readonly<Record<string, string>>;
  /** Variables that the platform sets in every container and that say where the source is; they are not settings. */
  readonly platform?: readonly string[];
  /** What to do about an error of this source, by its code, where that differs from other sources: one sentence. */
  readonly advice: Readonly<Record<string, string>>;
  /** What to check when it answers that there is nothing: a clause, such as `check the URL`. */
  readonly whenEmpty: string;
  /**
   * Reads a URL with one of the schemes (a path, for a file). Throws an InvalidValue, which never repeats the URL; touches
   * nothing.
   * @param cwd where a relative path begins.
   */
  readonly parseUrl: (text: string, cwd: string) => SourceUrl;
  /** The URL that is meant by a text without a scheme, as other tools name this kind; undefined for any other text. */
  readonly suggestUrl?: (text: string) => string | undefined;
}
