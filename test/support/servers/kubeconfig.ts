// The text of a KUBECONFIG for a server of the tests.

/** Where a context leads. */
export interface Access {
  readonly port: number;
  readonly ca: string;
  /** Fields of the user; default: the token of the one who may do everything. */
  readonly user: Readonly<Record<string, string>>;
  readonly namespace?: string;
}

/** The text of a KUBECONFIG with one context. */
export function kubeconfig({ port, ca, user, namespace = 'default' }: Access): string {
  const authority = Buffer.from(ca).toString('base64');
  return JSON.stringify({
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'one', user: 'me', namespace } }],
    clusters: [
      {
        name: 'one',
        cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': authority },
      },
    ],
    users: [{ name: 'me', user }],
  });
}
