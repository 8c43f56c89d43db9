// Puts the editor over the plain text field: the field stays what the form sends.
"use strict";

const field = document.getElementById("manifest");
const form = document.getElementById("editing");
const list = document.getElementById("found");
const kit = window.pullpassEditor;

// The library's own marks are pictures in data: addresses, which our policy refuses: these are drawn by CSS.
const theme = kit.EditorView.theme({
  "&": { fontSize: "13.5px", color: "var(--ink)" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6" },
  ".cm-content": { caretColor: "var(--ink)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { background: "var(--sunken)", color: "var(--ink-soft)", borderRight: "1px solid var(--line)", borderRadius: "8px 0 0 8px" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "var(--selection)" },
  "&.cm-focused .cm-matchingBracket": { background: "var(--selection)" },
  ".cm-tooltip": { background: "var(--surface)", color: "var(--ink)", border: "1px solid var(--line-strong)", borderRadius: "7px", boxShadow: "0 6px 20px rgb(0 0 0 / 14%)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "12.5px", maxHeight: "16em" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "3px 10px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--accent)", color: "var(--accent-ink)" },
  ".cm-completionIcon": { display: "none" },
  ".cm-completionInfo": { padding: "7px 11px", fontFamily: "var(--sans)", fontSize: "12.5px", maxWidth: "min(320px, 80vw)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--failed) 1px", textUnderlineOffset: "3px", textDecorationSkipInk: "none" },
  ".cm-gutter-lint": { width: "14px" },
  ".cm-gutter-lint .cm-gutterElement": { padding: "0", display: "flex", alignItems: "center", justifyContent: "center" },
  ".cm-lint-marker": { width: "8px", height: "8px" },
  ".cm-lint-marker-error": { content: "normal", background: "var(--failed)", borderRadius: "2px", transform: "rotate(45deg)" },
  ".cm-diagnostic": { padding: "7px 11px", fontFamily: "var(--sans)", maxWidth: "min(520px, 84vw)" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--failed)" },
}, { dark: matchMedia("(prefers-color-scheme: dark)").matches });
const colours = kit.HighlightStyle.define([
  { tag: kit.tags.propertyName, color: "var(--code-key)" },
  { tag: kit.tags.definition(kit.tags.propertyName), color: "var(--code-key)" },
  { tag: kit.tags.string, color: "var(--code-text)" },
  { tag: kit.tags.comment, color: "var(--ink-soft)", fontStyle: "italic" },
]);

// A line's key with where it stands; `dash` is where the list item begins that the line opens, or null.
const keyOf = (text) => {
  const match = /^(\s*)((?:-\s+)*)("[^"]*"|'[^']*'|[\w./-]+)?(\s*:(?:\s|$))?/.exec(text);
  const dash = match[2] ? match[1].length : null;
  return { indent: match[1].length + match[2].length, dash, name: match[4] ? match[3]?.replace(/^["']|["']$/g, "") : undefined };
};

// The parents of a line by their indentation: ["spec", "addOns"]; and the keys that stand beside it.
const surroundings = (state, number) => {
  const own = keyOf(state.doc.line(number).text);
  const path = [];
  const beside = new Set();
  let depth = own.dash === null ? own.indent : own.dash + 1;
  let together = own.dash === null;
  for (let above = number - 1; above > 0 && depth > 0; above -= 1) {
    const text = state.doc.line(above).text;
    if (/^\s*(#|$)/.test(text)) continue;
    const key = keyOf(text);
    if (key.indent < depth && key.name !== undefined) {
      path.unshift(key.name);
      depth = key.dash === null ? key.indent : key.dash + 1;
      together = false;
    } else if (key.indent === depth) {
      if (together && key.name) beside.add(key.name);
      if (key.dash !== null) { depth = key.dash + 1; together = false; }
    }
  }
  if (own.dash === null && own.indent === 0) for (let above = number - 1; above > 0; above -= 1) {
    const key = keyOf(state.doc.line(above).text);
    if (key.indent === 0 && key.name) beside.add(key.name);
  }
  for (let below = number + 1; below <= state.doc.lines; below += 1) {
    const text = state.doc.line(below).text;
    if (/^\s*(#|$)/.test(text)) continue;
    const key = keyOf(text);
    if (key.indent < own.indent || key.dash !== null && key.indent === own.indent) break;
    if (key.indent === own.indent && key.name) beside.add(key.name);
  }
  return { path, beside };
};

let schema = null;
const known = async () => {
  schema ??= await (await fetch("/clusters/-schema")).json();
  return schema;
};

const insertion = (label, node, indent) => {
  const inner = " ".repeat(indent + 2);
  if (node.list) return `${label}:\n${inner}- `;
  return node.members ? `${label}:\n${inner}` : `${label}: `;
};

const pick = (text, goOn) => (view, completion, from, to) => {
  view.dispatch({
    changes: { from, to, insert: text },
    selection: { anchor: from + text.length },
    annotations: kit.pickedCompletion.of(completion),
    scrollIntoView: true,
  });
  if (goOn) kit.startCompletion(view);
};

const complete = async (context) => {
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const value = /^\s*(?:-\s+)*([\w.-]+):\s+(\S*)$/.exec(before);
  const word = context.matchBefore(/[\w.-]*/);
  if (!value && !/^\s*(?:-\s+)*[\w.-]*$/.test(before)) return null;
  if (word.from === word.to && !context.explicit) return null;
  const { path, beside } = surroundings(context.state, line.number);
  let node = await known();
  for (const step of path) node = node?.members?.[step];
  if (!node) return null;
  if (value) {
    const choices = node.members?.[value[1]]?.choices ?? [];
    return { from: word.from, options: choices.map((label) => ({ label, type: "constant" })) };
  }
  const indent = keyOf(before).indent;
  const options = Object.entries(node.members ?? {}).filter(([label]) => !beside.has(label)).map(([label, member]) => ({
    label, type: "property", info: member.expected,
    apply: pick(insertion(label, member, indent), Boolean(member.members || member.choices)),
  }));
  return { from: word.from, options };
};

// The mistakes in words below the editor, each a way to its line.
const tell = (view, found) => {
  list.replaceChildren(...found.map((each) => {
    const item = document.createElement("li");
    const way = document.createElement("button");
    way.type = "button";
    way.className = "link";
    way.textContent = `Line ${each.line}`;
    way.addEventListener("click", () => {
      const line = view.state.doc.line(Math.min(each.line, view.state.doc.lines));
      view.dispatch({ selection: { anchor: line.to }, scrollIntoView: true });
      view.focus();
    });
    const path = document.createElement("code");
    path.textContent = each.path;
    item.append(way, " ", path, ` ${each.message}${each.hint ? `: ${each.hint}` : ""}`);
    return item;
  }));
  const words = found.length === 1 ? "1 mistake" : `${found.length} mistakes`;
  document.getElementById("checked").textContent = found.length ? words : "No mistakes";
};

const words = (each) => `${each.path.replace(/^\$\.?/, "")} ${each.message}${each.hint ? `: ${each.hint}` : ""}`.trim();

// Without an answer nothing is known of the text: its mistakes of before are taken away, and so is "No mistakes".
const unchecked = () => {
  list.replaceChildren();
  document.getElementById("checked").textContent = "Not checked: the hub gave no answer";
  return [];
};

let asking = null;
const check = async (view) => {
  asking?.abort();
  asking = new AbortController();
  const sent = view.state.doc;
  const body = new URLSearchParams({ form_key: form.elements.form_key.value, manifest: sent.toString(), name: form.dataset.cluster });
  let answer;
  try {
    answer = await fetch("/clusters/-check", { method: "POST", body, headers: { "HX-Request": "true" }, signal: asking.signal });
  } catch (error) {
    if (error.name !== "AbortError") unchecked(); // else a newer text is being checked
    return [];
  }
  if (!answer.ok) return unchecked();
  const found = await answer.json();
  if (view.state.doc.eq(sent)) tell(view, found);
  return found.map((each) => {
    const line = sent.line(Math.min(each.line, sent.lines));
    const start = line.from + line.text.search(/\S|$/);
    return { from: start, to: Math.max(line.to, start), severity: "error", message: words(each) };
  });
};

const send = () => (form.requestSubmit(), true);
const view = new kit.EditorView({
  doc: field.value,
  extensions: [
    kit.EditorView.cspNonce.of(field.dataset.nonce),
    kit.EditorView.contentAttributes.of({ "aria-label": "Manifest as YAML", tabindex: "0", "aria-describedby": "editor-keys", id: "manifest-editor" }),
    kit.lineNumbers(), kit.history(), kit.drawSelection(), kit.bracketMatching(), kit.closeBrackets(),
    kit.indentUnit.of("  "), kit.yaml(), kit.syntaxHighlighting(colours), theme,
    kit.autocompletion({ override: [complete] }), kit.lintGutter(), kit.linter(check, { delay: 400 }),
    kit.keymap.of([{ key: "Mod-Enter", run: send }, ...kit.completionKeymap, ...kit.lintKeymap, ...kit.historyKeymap, ...kit.defaultKeymap, kit.indentWithTab]),
    kit.EditorView.updateListener.of((update) => { if (update.docChanged) field.value = update.state.doc.toString(); }),
  ],
});
field.hidden = true;
field.after(view.dom);
// The server has said the mistakes of the text it was sent; from here on the list below the editor does.
document.getElementById("wrong")?.closest("section").querySelector("ul")?.remove();

// Where one was, when the same text comes back with its mistakes or after a look at the diff.
const place = "pullpass-editor";
form.addEventListener("submit", () => {
  const { anchor, head } = view.state.selection.main;
  sessionStorage.setItem(place, JSON.stringify({ length: view.state.doc.length, anchor, head, top: view.scrollDOM.scrollTop, page: scrollY }));
});
const was = JSON.parse(sessionStorage.getItem(place) ?? "null");
sessionStorage.removeItem(place);
if (was?.length === view.state.doc.length) {
  view.dispatch({ selection: { anchor: was.anchor, head: was.head } });
  requestAnimationFrame(() => { view.scrollDOM.scrollTop = was.top; scrollTo(0, was.page); });
  view.focus();
}
