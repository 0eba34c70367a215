package api

import (
	"encoding/json"
	"io"
	"maps"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/web"
)

// refuseStrayBody refuses members in the body of an operation that takes none:
// huma would not look at it, and whoever sends overlap_hours to a rotation that
// has its own is to hear so before the key has a successor. An empty object is
// what many clients send for nothing.
func refuseStrayBody(ctx huma.Context, next func(huma.Context)) {
	if ctx.Operation().RequestBody != nil {
		next(ctx)
		return
	}
	data, err := io.ReadAll(ctx.BodyReader()) // GuardJSON has bounded and checked it
	if err == nil && len(data) == 0 {
		next(ctx)
		return
	}
	p := web.NewProblem(web.Code(fault.CodeInvalid))
	var members map[string]json.RawMessage
	if err != nil || json.Unmarshal(data, &members) != nil {
		p = p.At("body", "this takes no body")
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		p = p.At(plainLocation("body."+name), "this takes no body")
	}
	if len(p.Errors) == 0 {
		next(ctx)
		return
	}
	r, w := humago.Unwrap(ctx)
	web.WriteProblem(w, r, p)
}
