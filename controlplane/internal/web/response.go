package web

import "net/http"

// response notes the status that is answered. It also puts a problem in the
// place of what ServeMux itself answers where no route matches: text/plain.
type response struct {
	http.ResponseWriter
	request *http.Request
	status  int
	replace bool // the body that comes is ServeMux's, and a problem was sent instead
}

// WriteHeader notes and sends the status.
func (w *response) WriteHeader(status int) {
	if w.status >= http.StatusOK {
		return // a second one is ignored, as net/http does; 1xx may come before
	}
	w.status = status
	if w.unmatched(status) {
		w.replace, w.status = true, 0
		code := Code("NOT_FOUND")
		if status == http.StatusMethodNotAllowed {
			code = CodeMethodNotSupported
		}
		WriteProblem(unreplaced{w}, w.request, NewProblem(code))
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (w *response) Write(b []byte) (int, error) {
	if w.replace {
		return len(b), nil
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// unmatched reports whether ServeMux answers by itself: it has set no pattern,
// and everything of ours that answers 404 or 405 sends a problem.
func (w *response) unmatched(status int) bool {
	return (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) &&
		w.request.Pattern == "" && w.Header().Get("Content-Type") != ProblemType
}

// unreplaced writes the problem past the replacement.
type unreplaced struct{ *response }

func (w unreplaced) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w unreplaced) Write(b []byte) (int, error) { return w.ResponseWriter.Write(b) }
