// Runs `check` with the environment of its one argument and prints the findings: for other users, mounts and namespaces.
import { checkWith, type Env } from './run-check.ts';

const env = JSON.parse(process.argv[2] ?? '') as Env;
const { text, exitCode } = await checkWith(env, true);
process.stdout.write(`{"findings":${text},"exitCode":${exitCode}}`);
