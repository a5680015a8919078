// Says "ready", takes the lock at argv[2] at the first line it gets, says "held" or "taken", and stays until its input ends.
import { once } from 'node:events';
import { acquireLock } from '../../daemon/lifecycle/lock.ts';

process.stdout.write('ready\n');
await once(process.stdin, 'data');
const lock = acquireLock(process.argv[2] ?? '');
process.stdout.write(lock === null ? 'taken\n' : 'held\n');
process.stdin.resume().once('end', () => process.exit(0));
