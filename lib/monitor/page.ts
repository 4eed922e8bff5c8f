// The page of the dashboard: one document that needs nothing else.
import { CONCERNS_SCRIPT } from './page-concerns-script.js';
import { RULES_SCRIPT } from './page-rules-script.js';
import { PAGE_SCRIPT } from './page-script.js';
import { PAGE_STYLE } from './page-style.js';

/** What a page is made for. */
export interface PageSettings {
  /** What scripts and styles of this answer are known by. */
  nonce: string;
  pollMs: number;
  /** Whether rules can be run and replicas promoted. */
  canAct: boolean;
}

/** The document. */
export function pageOf({ nonce, pollMs, canAct }: PageSettings): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Replication</title>
<link rel="icon" href="data:,">
<style nonce="${nonce}">${PAGE_STYLE}</style>
</head>
<body>
<a class="skip" href="#replicas">Skip to the replicas</a>
<header>
<h1>Replication</h1>
<p id="connection" role="status">connecting</p>
<nav aria-label="Sections"><a href="#replicas">Replicas</a> <a href="#rules">Rules</a> <a href="#concerns">Concerns</a> <a href="#activity">Activity</a></nav>
</header>
<main>
<section id="replicas" aria-labelledby="replicas-title" tabindex="-1"><h2 id="replicas-title">Replicas</h2><div id="projects"></div></section>
<section id="rules" aria-labelledby="rules-title" tabindex="-1"><h2 id="rules-title">Rules</h2><div id="flows"></div><div id="rule-list" class="scroll" role="region" aria-label="Table of rules" tabindex="0"></div></section>
<section id="concerns" aria-labelledby="concerns-title" tabindex="-1"><h2 id="concerns-title">Dead letters, conflicts, verification</h2><div id="concern-list"></div></section>
<section id="activity" aria-labelledby="activity-title" tabindex="-1"><h2 id="activity-title">Activity</h2><ol id="events"></ol></section>
</main>
<p id="announcement" class="unseen" role="status"></p>
<dialog id="confirmation" aria-labelledby="question"><form method="dialog"><p id="question"></p><button value="no">Cancel</button> <button value="yes" id="yes">Do it</button></form></dialog>
<script nonce="${nonce}">'use strict';
const SETTINGS = ${JSON.stringify({ pollMs, canAct })};
${RULES_SCRIPT}${CONCERNS_SCRIPT}${PAGE_SCRIPT}</script>
</body>
</html>
`;
}
