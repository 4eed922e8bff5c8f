// The smoke suite under Jest.
const { test } = require('@jest/globals');
const behaviours = require('./behaviours.cjs');

for (const [name, holds] of Object.entries(behaviours)) test(name, holds);
