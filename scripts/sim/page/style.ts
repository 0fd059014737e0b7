/** How the page looks: one style sheet for light and dark, wide and narrow. */

const light = '--page:#f6f6f3;--card:#fff;--ink:#1c2024;--muted:#646c76;--rule:#e3e3de;--track:#efefea;--c1:#2f6fde;--c2:#e0760b;--c3:#0d9683;--c4:#7a5bd0;--c5:#5b6672;--good:#17804a;--bad:#cc2f2f;--goodwash:#e5f4ea;--badwash:#fbe9e7;--warnwash:#fdf1dd'
const dark = '--page:#0f1215;--card:#181c20;--ink:#e9ebee;--muted:#99a2ad;--rule:#2a3036;--track:#22272c;--c1:#6ea6ff;--c2:#f5a14e;--c3:#3fcab2;--c4:#b29df6;--c5:#9aa5b1;--good:#58cf8c;--bad:#ff7d73;--goodwash:#15301f;--badwash:#3a1a19;--warnwash:#35290f'

export const style = `
:root{color-scheme:light dark;${light}}
@media (prefers-color-scheme:dark){:root{${dark}}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1120px;margin:0 auto;padding:28px 20px 48px}
header h1{font-size:28px;line-height:1.2;margin:0;letter-spacing:-.015em;overflow-wrap:anywhere}
header h1 small{font-size:16px;font-weight:400;color:var(--muted);letter-spacing:0;margin-left:6px;white-space:nowrap}
header p{margin:6px 0 0;color:var(--muted);max-width:76ch}
.verdict{display:inline-flex;align-items:center;gap:8px;margin:14px 0 0;padding:5px 13px;border-radius:999px;font-weight:600}
.verdict.good{background:var(--goodwash);color:var(--good)}.verdict.bad{background:var(--badwash);color:var(--bad)}.verdict.unchecked{background:var(--warnwash);color:var(--c2)}
.tiles{display:grid;grid-template-columns:repeat(5,minmax(0,1fr));gap:12px;margin:20px 0}
.tile,.card{background:var(--card);border:1px solid var(--rule);border-radius:12px}
.tile{padding:12px 16px}
.tile span{display:block;color:var(--muted);font-size:13px}
.tile b{display:block;white-space:nowrap;overflow:hidden;text-overflow:ellipsis;font-size:23px;line-height:1.25;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.cards{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px}
.card{padding:18px 20px;min-width:0}
.card.wide{grid-column:1/-1}
.card.broken{border-color:var(--bad)}
h2{font-size:16px;margin:0 0 2px}
.card>p{margin:0 0 12px;color:var(--muted);font-size:13px}
.card:has(>.none){align-self:start}
.none{color:var(--muted);margin:0}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 16px;margin:8px 0 10px;padding:0;font-size:13px;color:var(--muted)}
.legend li{display:flex;align-items:center;gap:6px}
.swatch{width:14px;height:10px;border-radius:2px;background:var(--c)}
.swatch.line,.swatch.dashed{height:0;border-radius:0;background:none;border-top:2px solid var(--c)}
.swatch.dashed{border-top-style:dashed}
.swatch.area{background:color-mix(in srgb,var(--c) 30%,transparent);border-top:2px solid var(--c)}
.swatch.mark{width:2px;height:12px;opacity:.55}
.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}.c5{--c:var(--c5)}.bad{--c:var(--bad)}.good{--c:var(--good)}
.chart{position:relative;display:grid;grid-template-columns:60px minmax(0,1fr);grid-template-rows:190px 22px}
.card.wide .chart{grid-template-rows:230px 22px}
.plot{width:100%;height:100%;display:block;overflow:visible}
.ys{position:relative;font-size:12px;color:var(--muted);font-variant-numeric:tabular-nums}
.ys span{position:absolute;right:8px;transform:translateY(50%);white-space:nowrap}
.xs{position:relative;grid-column:2;font-size:12px;color:var(--muted);height:22px;margin-top:5px;font-variant-numeric:tabular-nums}
.xs span{position:absolute;transform:translateX(-50%);white-space:nowrap}
.xs .first{transform:none}.xs .last{transform:translateX(-100%)}
svg *{vector-effect:non-scaling-stroke}
.grid{stroke:var(--rule);stroke-width:1}
.line{fill:none;stroke:var(--c);stroke-width:1.75;stroke-linejoin:round}
.line.dashed{stroke-dasharray:5 4}
.wash{fill:var(--c);fill-opacity:.16;stroke:none}
.fill{fill:var(--c)}.fill.half{fill-opacity:.45}.fill.faint{fill-opacity:.6}
.faultmark{stroke:var(--c);stroke-width:1;stroke-opacity:.4}
.hover{fill:var(--ink);fill-opacity:0}.hover:hover{fill-opacity:.07}
.track{fill:var(--track)}
.tick{stroke:var(--ink);stroke-width:2.5}
.bars{display:grid;grid-template-columns:fit-content(44%) minmax(0,1fr) max-content;gap:5px 12px;align-items:center;margin-top:10px;font-size:13px}
.row{display:contents}
.row svg{width:100%;height:18px;display:block}
.row .name{min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.row em{font-style:normal;color:var(--bad);font-size:12px}
.row .value{text-align:right;color:var(--muted);font-variant-numeric:tabular-nums;white-space:nowrap}
.row .value b{color:var(--ink)}
.gap{grid-column:1/-1;text-align:center;color:var(--muted);line-height:1}
.spreads{display:grid;gap:14px;margin-top:10px}
.spread .what{font-size:13px}.spread .what span{color:var(--muted)}
.span{position:relative;margin:3px 0}
.span svg{width:100%;height:20px;display:block}
.dot{position:absolute;top:4px;width:12px;height:12px;margin-left:-6px;border-radius:50%;background:var(--card);border:3px solid var(--c)}
.figures{display:flex;flex-wrap:wrap;gap:2px 18px;font-size:13px;color:var(--muted);font-variant-numeric:tabular-nums}
.figures b{color:var(--ink);font-weight:600}
.xs.log{grid-column:1;margin-top:-8px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;color:var(--muted);padding:4px 14px 6px 0;white-space:nowrap;border-bottom:1px solid var(--rule)}
td{padding:6px 14px 6px 0;vertical-align:top;border-bottom:1px solid var(--rule)}
tr:last-child td{border-bottom:0}
th.n,td.n{text-align:right;white-space:nowrap}
th:last-child,td:last-child{padding-right:0}
td.mark{width:1%;white-space:nowrap;font-weight:600}
td.mark.good{color:var(--good)}td.mark.bad{color:var(--bad)}
.violations{margin:8px 0 0;padding:0;list-style:none}
.violations li{padding:8px 0;border-top:1px solid var(--rule);overflow-wrap:anywhere}
.violations b{color:var(--bad)}.violations span{color:var(--muted);font-size:13px}
summary{cursor:pointer;font-weight:600}
details[open] summary{margin-bottom:10px}
code{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--track);padding:2px 6px;border-radius:5px;overflow-wrap:anywhere}
footer{margin-top:24px;color:var(--muted);font-size:13px;display:grid;gap:6px}
@media (max-width:980px){.tile b{font-size:19px}}
@media (max-width:760px){.figures{column-gap:11px;font-size:12.5px}main{padding:18px 12px 36px}.cards{grid-template-columns:minmax(0,1fr);gap:12px}.card{padding:14px}.tiles{grid-template-columns:repeat(2,minmax(0,1fr));gap:8px}.tile{padding:10px 12px}.tile b{font-size:19px}header h1{font-size:23px}.chart,.card.wide .chart{grid-template-columns:60px minmax(0,1fr);grid-template-rows:160px 22px}.bars{column-gap:8px}}
@media print{body{background:#fff}.card,.tile{break-inside:avoid}}
`
