/** The page's style sheet: light and dark by the reader's setting, one column on a phone, plain on paper. */
export const reportStyle = `
:root{color-scheme:light dark;--bg:#f6f6f3;--card:#fff;--ink:#1b222a;--muted:#616c78;--line:#e3e4df;--track:#ecece7;--accent:#25688a;--accent-soft:#e4eff4;--code:#25688a;--comment:#7fa65a;--blank:#c9ccc6;--good:#2b7a41;--good-soft:#e5f3e8;--warning:#96600a;--warning-soft:#fbf0da;--problem:#b3261e;--problem-soft:#fbe6e4;--shadow:0 1px 2px rgb(20 30 40/.05),0 4px 16px rgb(20 30 40/.05)}
@media (prefers-color-scheme:dark){:root{--bg:#10151a;--card:#182027;--ink:#e6ebf0;--muted:#96a3b0;--line:#28323c;--track:#232d36;--accent:#72bbdc;--accent-soft:#17303c;--code:#72bbdc;--comment:#94bd6c;--blank:#4a5560;--good:#7fd08f;--good-soft:#17301e;--warning:#eebf6a;--warning-soft:#33270f;--problem:#ff9088;--problem-soft:#3a1a18;--shadow:none}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans",sans-serif;font-variant-numeric:tabular-nums}
main,header.top .inner,footer{max-width:1080px;margin:0 auto;padding:0 20px}
header.top{padding:40px 0 0}
.brand{display:flex;align-items:center;gap:8px;color:var(--muted);font-size:13px;letter-spacing:.02em}
.brand svg{width:39px;height:24px;stroke:var(--accent);fill:none;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
h1{font-size:clamp(28px,5vw,42px);line-height:1.1;letter-spacing:-.02em;margin:10px 0 6px;overflow-wrap:anywhere}
.origin{color:var(--muted);overflow-wrap:anywhere}
.origin code{font-size:13px}
nav{display:flex;gap:6px;flex-wrap:wrap;margin:20px 0 0}
nav a{padding:4px 11px;border:1px solid var(--line);border-radius:99px;color:var(--muted);text-decoration:none;font-size:13px;background:var(--card)}
nav a:hover,nav a:focus-visible{color:var(--accent);border-color:var(--accent)}
.tiles{display:flex;flex-wrap:wrap;gap:12px;margin:24px 0}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:14px;box-shadow:var(--shadow)}
.tile{padding:14px 16px;flex:1 1 22%;min-width:0}
.tile .label{color:var(--muted);font-size:13px}
.tile .value{font-size:27px;line-height:1.2;font-weight:650;letter-spacing:-.02em;margin-top:2px}
.tile .detail{color:var(--muted);font-size:12.5px}
.tile.alarm .value{color:var(--problem)}
.card{padding:22px 24px;margin:0 0 16px;scroll-margin-top:12px}
.grid{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px}
.grid>.card{margin:0}
.grid+.card,.card+.grid,.grid+.grid{margin-top:16px}
.grid>.wide{grid-column:1/-1}
h2{font-size:19px;letter-spacing:-.01em;margin:0 0 4px}
h3{font-size:14px;margin:20px 0 8px}
p{margin:4px 0 12px}
.lead,.muted,.detail{color:var(--muted)}
.lead{margin-bottom:16px}
.detail{font-size:12.5px}
ul.findings{list-style:none;margin:12px 0 0;padding:0;display:grid;gap:8px}
ul.findings li{display:flex;gap:11px;padding:9px 13px;border-radius:10px;background:var(--accent-soft);overflow-wrap:anywhere}
ul.findings li>div{min-width:0}
ul.findings .sign{flex:none;width:20px;height:20px;margin-top:2px;border-radius:50%;display:grid;place-items:center;font-size:12px;font-weight:700;background:var(--accent);color:var(--card)}
ul.findings .good{background:var(--good-soft)}.good .sign{background:var(--good)!important}
ul.findings .warning{background:var(--warning-soft)}.warning .sign{background:var(--warning)!important}
ul.findings .problem{background:var(--problem-soft)}.problem .sign{background:var(--problem)!important}
.banner{border:1px solid var(--problem);background:var(--problem-soft);border-radius:14px;padding:14px 18px;margin:0 0 16px}
.banner ul{margin:6px 0 0;padding-left:20px}
.stack{display:flex;gap:2px;height:16px;border-radius:8px;overflow:hidden;margin:6px 0 12px}
.stack span{min-width:3px;flex-basis:0;box-shadow:inset 0 0 0 1px rgb(128 128 128/.35)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 16px;margin:0 0 16px;padding:0;font-size:13px}
.legend.column{flex-direction:column;margin:0}
.legend i{display:inline-block;width:9px;height:9px;border-radius:3px;margin-right:6px}
.legend b{font-weight:600}
.scroll{overflow-x:auto;margin:0 -6px;padding:0 6px}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th{font-weight:600;text-align:left;color:var(--muted);font-size:12.5px;white-space:nowrap}
th,td{padding:6px 10px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
tbody tr:last-child td{border-bottom:0}
td.num,th.num{text-align:right;padding-right:0;padding-left:12px;white-space:nowrap}
.path,code{font-family:ui-monospace,SFMono-Regular,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12.5px;overflow-wrap:anywhere}
.dot,.legend i{box-shadow:inset 0 0 0 1px rgb(128 128 128/.45)}
.dot{display:inline-block;width:9px;height:9px;border-radius:3px;margin-right:7px}
ol.bars{list-style:none;margin:0;padding:0;display:grid;gap:11px}
.bar-head{display:flex;justify-content:space-between;gap:12px}
.bar-head .num{flex:none;font-weight:600;font-size:13px}
.track{height:6px;border-radius:3px;background:var(--track);margin-top:3px;overflow:hidden}
.track span{display:block;height:100%;border-radius:3px;background:var(--accent)}
.bars.heat .track span{background:linear-gradient(90deg,#d9822b,#c23b22)}
.chart{margin:4px 0 16px}
.chart svg{width:100%;height:120px;display:block}
.chart rect{fill:var(--accent)}
.chart .axis{stroke:var(--line)}
figcaption{display:flex;justify-content:space-between;gap:8px;color:var(--muted);font-size:12.5px;margin-top:4px}
.ring{display:flex;align-items:center;gap:24px;flex-wrap:wrap}
.ring svg{width:150px;flex:none}
.ring circle{fill:none;stroke-width:15}
.ring circle.code{stroke:var(--code)}.ring circle.comment{stroke:var(--comment)}.ring circle.blank{stroke:var(--blank)}.ring circle.test{stroke:var(--good)}
.ring i.code{background:var(--code)}.ring i.comment{background:var(--comment)}.ring i.blank{background:var(--blank)}.ring i.test{background:var(--good)}
.ring-value,.ring-label{text-anchor:middle;fill:var(--ink)}
.ring-value{font-size:17px;font-weight:650}.ring-label{font-size:9px;fill:var(--muted)}
.chips{display:flex;flex-wrap:wrap;gap:6px;margin:4px 0 12px;padding:0;list-style:none}
.chips li{border:1px solid var(--line);border-radius:8px;padding:2px 9px;font-size:13px;overflow-wrap:anywhere}
.chips b{font-weight:600;margin-left:3px}
.places{margin:2px 0 0;padding-left:18px}
details summary{cursor:pointer;color:var(--accent);font-size:13.5px;margin-top:10px}
footer{padding:20px 20px 48px;color:var(--muted);font-size:13px}
@media (max-width:760px){.grid{grid-template-columns:minmax(0,1fr)}.card{padding:18px 16px}main,header.top .inner,footer{padding-left:14px;padding-right:14px}.tile{flex-basis:40%}.tile .value{font-size:23px}}
@media print{body{background:#fff}nav{display:none}.card,.tile{box-shadow:none;break-inside:avoid}}
`
