// Package docs serves the documentation that a running Latchkey carries: the
// API's, at /docs, and one page for every error code, at /docs/errors/.
//
// It owns those pages and the embedded viewer, Stoplight Elements, which
// fetch.sh puts into dist/ when the program is built. The app package registers
// it on the public listener.
//
// Invariant: nothing is loaded from anywhere else. The content security policy
// of every page allows this origin alone, and no inline script.
package docs
