package web

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
)

// MaxBody is the largest body that is read, in bytes.
const MaxBody = 1 << 20

// ReadJSON reads a request's body and answers for its form: what ReadBody and
// CheckJSON accept.
func ReadJSON(w http.ResponseWriter, r *http.Request) ([]byte, *Problem) {
	data, p := ReadBody(w, r)
	if p == nil {
		p = CheckJSON(data)
	}
	if p != nil {
		return nil, p
	}
	return data, nil
}

// ReadBody reads a request's body: JSON by its Content-Type, at most MaxBody,
// and there at all. It does not look into it.
func ReadBody(w http.ResponseWriter, r *http.Request) ([]byte, *Problem) {
	if !hasBody(r) {
		return nil, NewProblem(CodeNoBody)
	}
	data, p := readBody(w, r)
	if p == nil && len(data) == 0 {
		p = NewProblem(CodeNoBody)
	}
	return data, p
}

// GuardJSON lets a request through to next only where its body is what ReadJSON
// accepts, or where it has none: whether one is needed is for next to say. The
// body that next reads is the one that was checked. GET and HEAD have no body
// that means anything (RFC 9110, section 9.3.1), so theirs is not looked at. It
// belongs around a route's handler, not around the mux: a route that does not
// exist is then 404 whatever the body.
func GuardJSON(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hasBody(r) || r.Method == http.MethodGet || r.Method == http.MethodHead {
			r.Body = http.NoBody
			next.ServeHTTP(w, r)
			return
		}
		data, p := readBody(w, r)
		if p == nil && len(data) > 0 {
			p = CheckJSON(data)
		}
		if p != nil {
			WriteProblem(w, r, p)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
		next.ServeHTTP(w, r)
	})
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// firstRead is the most room that is made before anything has arrived: the room
// grows with what comes, never by what Content-Length promises.
const firstRead = 8 << 10

// readBody reads at most MaxBody of JSON.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *Problem) {
	if r.ContentLength > MaxBody {
		w.Header().Set("Connection", "close") // the rest is not worth reading
		return nil, NewProblem(CodeTooLarge)
	}
	if !jsonType(r.Header["Content-Type"]) {
		return nil, NewProblem(CodeMediaType)
	}
	room := int64(512) // where the length is not told
	if r.ContentLength > 0 {
		room = min(r.ContentLength+1, firstRead) // one more, to see the end without growing
	}
	data := make([]byte, 0, room)
	for {
		n, err := r.Body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case len(data) > MaxBody:
			w.Header().Set("Connection", "close")
			return nil, NewProblem(CodeTooLarge)
		case errors.Is(err, io.EOF):
			return data, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, NewProblem(CodeTimeout)
		case err != nil:
			return nil, NewProblem(CodeMalformed).At("body", "it ended before its end")
		case len(data) == cap(data):
			data = append(data, 0)[:len(data)]
		}
	}
}

// jsonType reports whether there is one Content-Type and it is JSON:
// application/json, or a type with the suffix +json (RFC 6839).
func jsonType(headers []string) bool {
	if len(headers) != 1 {
		return false
	}
	if headers[0] == "application/json" { // nearly all
		return true
	}
	media, _, err := mime.ParseMediaType(headers[0])
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}
