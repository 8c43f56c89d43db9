// Puts the editor over the plain text field: the field stays what the form sends.
"use strict";

const field = document.getElementById("manifest");
const form = document.getElementById("editing");
const kit = window.pullpassEditor;

const theme = kit.EditorView.theme({
  "&": { fontSize: "13.5px", color: "var(--ink)" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { background: "var(--sunken)", color: "var(--ink-soft)", borderRight: "1px solid var(--line)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "var(--accent-wash)" },
  ".cm-tooltip": { background: "var(--surface)", color: "var(--ink)", border: "1px solid var(--line-strong)", borderRadius: "7px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--accent)", color: "var(--accent-ink)" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--failed)" },
});
const colours = kit.HighlightStyle.define([
  { tag: kit.tags.propertyName, color: "var(--code-key)" },
  { tag: kit.tags.definition(kit.tags.propertyName), color: "var(--code-key)" },
  { tag: kit.tags.string, color: "var(--code-text)" },
  { tag: kit.tags.comment, color: "var(--ink-soft)", fontStyle: "italic" },
]);

// The parents of a line by their indentation: ["spec", "addOns"].
const pathOf = (state, number) => {
  const path = [];
  let depth = state.doc.line(number).text.search(/\S|$/);
  for (let above = number - 1; above > 0 && depth > 0; above -= 1) {
    const match = /^(\s*)(?:- )?([\w.-]+):/.exec(state.doc.line(above).text);
    if (match && match[1].length < depth) {
      path.unshift(match[2]);
      depth = match[1].length;
    }
  }
  return path;
};

let schema = null;
const known = async () => (schema ??= await (await fetch("/clusters/-schema")).json());

const complete = async (context) => {
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const value = /^\s*(?:- )?([\w.-]+):\s+(\S*)$/.exec(before);
  const word = context.matchBefore(/[\w.-]*/);
  if (!value && !/^\s*(?:- )?[\w.-]*$/.test(before)) return null;
  if (word.from === word.to && !context.explicit) return null;
  let node = await known();
  for (const step of pathOf(context.state, line.number)) {
    node = node?.members?.[step] ?? null;
    if (!node) return null;
  }
  if (value) {
    const choices = node.members?.[value[1]]?.choices ?? [];
    return { from: word.from, options: choices.map((label) => ({ label, type: "constant" })) };
  }
  const options = Object.entries(node.members ?? {}).map(([label, member]) => ({
    label, type: "property", detail: member.expected ?? "", apply: member.members ? `${label}:\n${" ".repeat(line.text.search(/\S|$/) + 2)}` : `${label}: `,
  }));
  return { from: word.from, options };
};

const check = async (view) => {
  const body = new URLSearchParams({ form_key: form.elements.form_key.value, manifest: view.state.doc.toString(), name: form.dataset.cluster ?? "" });
  const answer = await fetch("/clusters/-check", { method: "POST", body, headers: { "HX-Request": "true" } });
  if (!answer.ok) return [];
  return (await answer.json()).map((each) => {
    const line = view.state.doc.line(Math.min(each.line, view.state.doc.lines));
    const start = line.from + line.text.search(/\S|$/);
    return { from: start, to: line.to, severity: "error", message: each.hint ? `${each.path} ${each.message}: ${each.hint}` : `${each.path} ${each.message}` };
  });
};

const send = () => (form.requestSubmit(), true);
const view = new kit.EditorView({
  doc: field.value,
  extensions: [
    kit.EditorView.cspNonce.of(field.dataset.nonce),
    kit.EditorView.contentAttributes.of({ "aria-label": "Manifest as YAML", id: "manifest-editor" }),
    kit.lineNumbers(), kit.history(), kit.drawSelection(), kit.bracketMatching(), kit.closeBrackets(),
    kit.indentUnit.of("  "), kit.yaml(), kit.syntaxHighlighting(colours), theme,
    kit.autocompletion({ override: [complete] }), kit.lintGutter(), kit.linter(check, { delay: 400 }),
    kit.keymap.of([{ key: "Mod-Enter", run: send }, ...kit.completionKeymap, ...kit.lintKeymap, ...kit.historyKeymap, ...kit.defaultKeymap, kit.indentWithTab]),
    kit.EditorView.updateListener.of((update) => { if (update.docChanged) field.value = update.state.doc.toString(); }),
  ],
});
field.hidden = true;
field.after(view.dom);
