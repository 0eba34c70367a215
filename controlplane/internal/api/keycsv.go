package api

import (
	"context"
	"encoding/csv"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/web"
)

const csvType = "text/csv"

var csvColumns = []string{
	"id", "kind", "environment", "status", "name", "label", "start", "last4", "owner_id", "subscription_id", "scopes", "tags",
	"not_before", "expires_at", "rotate_by", "retires_at", "disabled_at", "revoked_at", "revoke_reason", "rotated_from", "rotated_to",
	"last_used_at", "last_used_ip", "created_at", "updated_at",
}

func (a *api) exportKeys(ctx context.Context, in *exportKeysInput) (*huma.StreamResponse, error) {
	if err := caller(ctx).Require(access.KeysRead); err != nil {
		return nil, err
	}
	f, err := a.filterOf(&in.KeyFilter)
	if err != nil {
		return nil, err
	}
	// The first page before the answer begins: what is wrong is still a problem.
	f.Limit = 1
	if _, err := a.Services.Keys.List(ctx, caller(ctx), f); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) { a.streamCSV(ctx, f) }}, nil
}

// streamCSV writes page by page. Where it fails the connection is cut, so that
// a part is not taken for the whole.
func (a *api) streamCSV(ctx huma.Context, f keys.Filter) {
	r, w := humago.Unwrap(ctx)
	h := w.Header()
	h.Set("Content-Type", csvType+"; charset=utf-8; header=present")
	h.Set("Content-Disposition", `attachment; filename="keys.csv"`)
	h.Set("Cache-Control", "no-store")
	out := csv.NewWriter(&part{w: w, control: http.NewResponseController(w)})
	out.UseCRLF = true // as RFC 4180 has it
	err := out.Write(csvColumns)
	for k, pageErr := range a.Services.Keys.All(r.Context(), caller(r.Context()), f) {
		if err == nil {
			err = pageErr
		}
		if err == nil {
			err = out.Write(a.csvRow(&k))
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		out.Flush()
		err = out.Error()
	}
	if err != nil {
		if r.Context().Err() == nil { // else the client left
			web.LineOf(r.Context()).Cause = err
		}
		panic(http.ErrAbortHandler)
	}
}

func (a *api) csvRow(k *keys.Key) []string {
	row := []string{
		k.ID.String(), k.Kind.String(), k.Environment.String(), string(k.Status(a.Now())), k.Name, k.Label, k.Start, k.Last4,
		k.OwnerID.String(), k.SubscriptionID.String(), strings.Join(k.Scopes, " "), strings.Join(k.Tags, " "),
		csvTime(k.NotBefore), csvTime(k.ExpiresAt), csvTime(k.RotateBy), csvTime(k.RetiresAt), csvTime(k.DisabledAt), csvTime(k.RevokedAt),
		string(k.RevokeReason), k.RotatedFrom.String(), k.RotatedTo.String(),
		csvTime(k.LastUsedAt), csvAddr(k.LastUsedIP), csvTime(&k.CreatedAt), csvTime(&k.UpdatedAt),
	}
	for i, cell := range row {
		row[i] = csvCell(cell)
	}
	return row
}

// csvCell keeps a spreadsheet from running what somebody put into a name (OWASP,
// CSV Injection). In some languages the wide forms begin a formula, too.
func csvCell(text string) string {
	if first, _ := utf8.DecodeRuneInString(text); text != "" && strings.ContainsRune("=+-@＝＋－＠\t\r\n", first) {
		return "'" + text
	}
	return text
}

func csvAddr(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}

func csvTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
