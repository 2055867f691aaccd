// What the pages need of CodeMirror 6, as one file: makes an editor of SQL over a textarea, which keeps its value.
import { EditorView, keymap, lineNumbers, drawSelection } from "@codemirror/view";
import { EditorState } from "@codemirror/state";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { sql } from "@codemirror/lang-sql";
import { tags as t } from "@lezer/highlight";
const style = HighlightStyle.define([
  { tag: t.keyword, class: "k" }, { tag: [t.typeName, t.standard(t.name)], class: "kt" }, { tag: [t.string, t.special(t.string)], class: "s" },
  { tag: [t.number, t.bool, t.null], class: "m" }, { tag: [t.lineComment, t.blockComment], class: "c" },
]);
window.pipekitSqlEditor = (textarea, nonce) => {
  const told = (type) => textarea.dispatchEvent(new Event(type, { bubbles: true }));
  const view = new EditorView({
    parent: textarea.parentElement,
    state: EditorState.create({
      doc: textarea.value,
      extensions: [
        EditorView.cspNonce.of(nonce), lineNumbers(), history(), drawSelection(), EditorView.lineWrapping, sql(),
        syntaxHighlighting(style), keymap.of([...defaultKeymap, ...historyKeymap]),
        EditorView.contentAttributes.of({ "aria-label": textarea.getAttribute("aria-label") || "SQL", autocapitalize: "off", spellcheck: "false" }),
        EditorState.readOnly.of(textarea.readOnly),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          textarea.value = update.state.doc.toString();
          told("input");
        }),
        EditorView.domEventHandlers({ blur: () => { told("change"); } }),
      ],
    }),
  });
  return view;
};
