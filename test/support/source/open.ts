// Opens a source by its URL, at once: the program loads the provider first, which takes a turn of the event loop.
import { openConsul as consul } from '../../../src/source/consul/open.ts';
import { parseConsulUrl } from '../../../src/source/consul/url.ts';
import { openEtcd as etcd } from '../../../src/source/etcd/open.ts';
import { parseEtcdUrl } from '../../../src/source/etcd/url.ts';
import { openFile as file } from '../../../src/source/file-source.ts';
import { parseFileUrl } from '../../../src/source/file-url.ts';
import { openHttp as http } from '../../../src/source/http-source.ts';
import { parseHttpUrl } from '../../../src/source/http-url.ts';
import type { Provider, ProviderOptions } from '../../../src/source/provider.ts';

type Open = (url: string, options: ProviderOptions) => Provider;

export const openConsul: Open = (url, options) => consul(url, parseConsulUrl(url), options);
export const openEtcd: Open = (url, options) => etcd(url, parseEtcdUrl(url), options);
export const openFile: Open = (url, options) => file(parseFileUrl(url, process.cwd()), options);
export const openHttp: Open = (url, options) => http(url, parseHttpUrl(url), options);
