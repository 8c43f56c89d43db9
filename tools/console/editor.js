// The editor of manifests: CodeMirror with YAML, completion from the schema, and the API's own mistakes at their line.
// Bundled by build.sh into web/static/editor.js; loaded by the pages with an editor alone.
import { autocompletion, closeBrackets, completionKeymap, pickedCompletion, startCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, bracketMatching, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, linter } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { EditorView, drawSelection, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

window.pullpassEditor = {
  EditorState, EditorView, HighlightStyle, autocompletion, bracketMatching, closeBrackets, completionKeymap,
  defaultKeymap, drawSelection, history, historyKeymap, indentUnit, indentWithTab, keymap, lineNumbers, lintGutter,
  lintKeymap, linter, pickedCompletion, startCompletion, syntaxHighlighting, tags, yaml,
};
