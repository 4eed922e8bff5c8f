// The smoke suite under Vitest; the configuration runs it in threads and in forks.
import { test } from 'vitest';
import behaviours from './behaviours.cjs';

for (const [name, holds] of Object.entries(behaviours)) test(name, holds);
