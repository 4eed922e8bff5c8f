// How the page looks, in light and dark.

/** The style sheet. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f7f7f5; --panel: #ffffff; --ink: #1b1b19; --quiet: #5c5c57; --line: #d3d3cd; --accent: #0b57a4;
  --up: #17692f; --down: #b3151b; --wait: #845300;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #161715; --panel: #20211f; --ink: #eeeeea; --quiet: #b1b1aa; --line: #3e3f3b; --accent: #8ec5ff;
    --up: #72d68d; --down: #ff9489; --wait: #f2bd5b;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; align-items: baseline; padding: 1rem 1.25rem; border-bottom: 1px solid var(--line); }
h1 { font-size: 1.35rem; margin: 0; } h2 { font-size: 1.1rem; margin: 0 0 .75rem; } h3 { font-size: 1rem; margin: 0 0 .5rem; }
header p { margin: 0; color: var(--quiet); } nav { margin-left: auto; display: flex; gap: 1rem; }
a { color: var(--accent); } :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
main { padding: 1.25rem; max-width: 80rem; margin: 0 auto; display: grid; grid-template-columns: minmax(0, 1fr); gap: 2rem; }
.project { margin-bottom: 1.5rem; }
.graph { display: grid; grid-template-columns: minmax(0, 1fr) 3rem minmax(0, 1.6fr); align-items: center; }
.graph ul { list-style: none; margin: 0; padding: 0; display: grid; gap: .75rem; }
.graph svg.arrow { width: 100%; height: 1.5rem; color: var(--quiet); }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; overflow-wrap: anywhere; }
.card p { margin: .15rem 0; } .name { font-weight: 600; } .quiet { color: var(--quiet); font-size: .9rem; }
.state { font-weight: 600; } .state.up { color: var(--up); } .state.down, .error { color: var(--down); } .state.connecting, .state.unknown { color: var(--wait); }
svg.lag { display: block; width: 100%; height: 2rem; color: var(--accent); margin-top: .25rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; background: var(--panel); }
th, td { text-align: left; padding: .45rem .7rem; border: 1px solid var(--line); font-variant-numeric: tabular-nums; vertical-align: top; }
button { font: inherit; color: var(--ink); background: var(--panel); border: 1px solid var(--quiet); border-radius: .35rem; padding: .35rem .8rem; min-height: 2.25rem; cursor: pointer; }
#events { list-style: none; margin: 0; padding: 0; background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; }
#events li { padding: .4rem .8rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; } #events li:last-child { border-bottom: 0; }
time { color: var(--quiet); font-variant-numeric: tabular-nums; margin-right: .6rem; }
dialog { color: var(--ink); background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; max-width: 28rem; } dialog::backdrop { background: rgb(0 0 0 / .5); }
.flows { list-style: none; margin: 0 0 1rem; padding: 0; display: flex; flex-wrap: wrap; gap: .5rem; } .flows li { background: var(--panel); border: 1px solid var(--line); border-radius: 2rem; padding: .25rem .9rem; overflow-wrap: anywhere; }
.flows svg { width: 2rem; height: 1rem; vertical-align: middle; color: var(--quiet); margin: 0 .4rem; } td .actions { display: flex; flex-wrap: wrap; gap: .35rem; } td svg.lag { min-width: 8rem; }
.concern { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; margin-bottom: .75rem; } .concern p { margin: .15rem 0; } .concern .scroll { margin-top: .5rem; }
.good { color: var(--up); font-weight: 600; }
.skip, .unseen { position: absolute; clip-path: inset(50%); } .skip:focus { clip-path: none; }
@media (max-width: 40rem) { .graph { grid-template-columns: minmax(0, 1fr); } .graph svg.arrow { width: 3rem; height: 3rem; justify-self: center; transform: rotate(90deg); } nav { margin-left: 0; } }
`;
