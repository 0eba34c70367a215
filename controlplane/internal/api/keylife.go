package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

type rotateKeyInput struct {
	ID   string `path:"id"`
	Body *struct {
		OverlapHours *int `json:"overlap_hours,omitempty" minimum:"0" maximum:"720" example:"72" doc:"How long the old secret stays good beside the new one; rotation_overlap_hours of the settings where it is not given."`
	}
}

type startInput struct {
	Start  string `path:"start" minLength:"4" maxLength:"64" example:"lk_live_0123" doc:"The start of the key as it is shown with the key: its prefix and four characters."`
	Last4  string `query:"last4" minLength:"4" maxLength:"4" example:"JqhR" doc:"The last four characters of the key, where several start alike."`
	Reason string `query:"reason" doc:"In the words of RFC 5280. What was compromised cannot be restored." enum:"unspecified,key_compromise,affiliation_changed,superseded,cessation_of_operation,privilege_withdrawn" default:"unspecified"`
	Only   bool   `query:"only" doc:"true spares what the key was rotated into."`
}

// registerKeyLives registers what happens to one key but once.
func (a *api) registerKeyLives() {
	rotate := creating(operation(http.MethodPost, "/api/v1/keys/{id}/rotate", "Keys", "rotate-key", "Rotate a key", access.KeysWrite))
	rotate.Description += " The answer is its successor: the same settings and label, another id and secret. The old secret stays good for the overlap. It counts against no max_keys. 409 `NOT_ROTATABLE` for a key that is neither `active` nor `not_yet_valid`, or has a successor."
	huma.Register(a.huma, rotate, a.rotateKey)

	restore := operation(http.MethodPost, "/api/v1/keys/{id}/restore", "Keys", "restore-key", "Undo a revocation", access.KeysWrite)
	restore.Description += " For `restore_window_days` of the settings, and unless the reason was `key_compromise`. What was revoked with it comes back with it."
	huma.Register(a.huma, restore, func(ctx context.Context, in *idInput) (*resource[KeyView], error) {
		key, err := pathID[id.KeyKind](in.ID)
		if err != nil {
			return nil, err
		}
		return a.keyAnswer(a.Services.Keys.Restore(ctx, caller(ctx), key))
	})

	remove := operation(http.MethodDelete, "/api/v1/keys/{id}", "Keys", "delete-key", "Delete a key", access.KeysWrite)
	remove.Description += " It is revoked, it alone, and in no list any more; nothing brings it back. What is known of it is kept for `deleted_key_retention_days` of the settings."
	huma.Register(a.huma, remove, func(ctx context.Context, in *idInput) (*struct{}, error) {
		key, err := pathID[id.KeyKind](in.ID)
		if err != nil {
			return nil, err
		}
		return nil, a.Services.Keys.Delete(ctx, caller(ctx), key)
	})

	byStart := operation(http.MethodDelete, "/api/v1/keys/by-start/{start}", "Keys", "revoke-key-by-start", "Revoke the key that starts like this", access.KeysWrite)
	byStart.Description += " For a key of which only its ends are known, as from a log. It is revoked, not deleted. 409 `AMBIGUOUS_START` where several start like this."
	huma.Register(a.huma, byStart, a.revokeByStart)
}

func (a *api) rotateKey(ctx context.Context, in *rotateKeyInput) (*issuedOutput, error) {
	key, err := pathID[id.KeyKind](in.ID)
	if err != nil {
		return nil, err
	}
	return a.issuedAnswer(a.Services.Keys.Rotate(ctx, caller(ctx), key, in.overlap()))
}

// overlap is nil where none is given. Zero is a value, which a schema's default
// would overwrite.
func (in *rotateKeyInput) overlap() *int {
	if in.Body == nil {
		return nil
	}
	return in.Body.OverlapHours
}

func (a *api) revokeByStart(ctx context.Context, in *startInput) (*struct{}, error) {
	var f fault.Fields
	a.keepKeysOut(&f, "path.start", in.Start)
	if err := f.Err(); err != nil {
		return nil, err
	}
	_, err := a.Services.Keys.RevokeByStart(ctx, caller(ctx), in.Start, in.Last4, keys.Revocation{Reason: keys.Reason(in.Reason), Only: in.Only})
	return nil, err
}
