package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/settings"
)

// SettingValues are a number for each setting. It is exported because huma
// describes only exported embedded structs.
type SettingValues struct {
	RestoreWindowDays       int `json:"restore_window_days" example:"7" doc:"How long a revocation can be undone; 0: never."`
	DeletedKeyRetentionDays int `json:"deleted_key_retention_days" example:"30" doc:"How long what is known of a deleted key is kept."`
	KeyMaxLifetimeDays      int `json:"key_max_lifetime_days" example:"0" doc:"How long a key that is issued from now on, under no plan, may live; 0: for ever. Plans have bounds of their own, management keys have none."`
	RotationOverlapHours    int `json:"rotation_overlap_hours" example:"24" doc:"How long the old secret stays good after a rotation, where neither the rotation nor the key says."`
	SessionIdleHours        int `json:"session_idle_hours" example:"12" doc:"How long a session lives without a refresh. A shorter time counts for the sessions that there are, for as long as it is set; a longer one from their next refresh on."`
	SessionMaxDays          int `json:"session_max_days" example:"30" doc:"How long a session lives at most. A shorter time counts for the sessions that there are, for as long as it is set; a longer one for new ones."`
}

// SettingsView is the settings as the API answers them.
type SettingsView struct {
	SettingValues
	Defaults  SettingValues `json:"defaults" doc:"What counts where nothing was chosen."`
	Chosen    []string      `json:"chosen" example:"[\"session_idle_hours\"]" doc:"The settings that were chosen; the others follow their default. Who chose what and when is in the audit log: action settings.change."`
	ChangedAt *time.Time    `json:"changed_at" nullable:"true" doc:"When any of them was last changed; null: never."`
}

func settingsAnswer(s settings.Settings, err error) (*resource[SettingsView], error) {
	if err != nil {
		return nil, err
	}
	return &resource[SettingsView]{ETag: etag(s.Version), Body: SettingsView{
		SettingValues: SettingValues(s.Values()), Defaults: SettingValues(settings.Defaults()), Chosen: s.Own(), ChangedAt: s.ChangedAt,
	}}, nil
}

type patchSettingsInput struct {
	IfMatch string `header:"If-Match"`
	Body    struct {
		RestoreWindowDays       nullable[*int] `json:"restore_window_days,omitempty" minimum:"0" maximum:"90"`
		DeletedKeyRetentionDays nullable[*int] `json:"deleted_key_retention_days,omitempty" minimum:"1" maximum:"3650"`
		KeyMaxLifetimeDays      nullable[*int] `json:"key_max_lifetime_days,omitempty" minimum:"0" maximum:"36500"`
		RotationOverlapHours    nullable[*int] `json:"rotation_overlap_hours,omitempty" minimum:"0" maximum:"720" example:"48"`
		SessionIdleHours        nullable[*int] `json:"session_idle_hours,omitempty" minimum:"1" maximum:"720" doc:"No longer than session_max_days."`
		SessionMaxDays          nullable[*int] `json:"session_max_days,omitempty" minimum:"1" maximum:"365"`
	}
}

func (a *api) registerSettings() {
	const path = "/api/v1/settings"
	huma.Register(a.huma, operation(http.MethodGet, path, "Settings", "get-settings", "Get the settings", access.SettingsWrite),
		func(ctx context.Context, _ *struct{}) (*resource[SettingsView], error) {
			return settingsAnswer(a.Services.Settings.Current(ctx, caller(ctx)))
		})
	change := operation(http.MethodPatch, path, "Settings", "change-settings", "Change settings, everywhere at once", access.SettingsWrite)
	change.Description += " null goes back to the default. Every replica goes by the new values from the answer on."
	huma.Register(a.huma, change, a.patchSettings)
}

func (a *api) patchSettings(ctx context.Context, in *patchSettingsInput) (*resource[SettingsView], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	b := &in.Body
	return settingsAnswer(a.Services.Settings.Change(ctx, caller(ctx), settings.Patch{
		Version: version,
		Each: settings.Each[field.Change[*int]]{
			RestoreWindowDays: b.RestoreWindowDays.Change, DeletedKeyRetentionDays: b.DeletedKeyRetentionDays.Change,
			KeyMaxLifetimeDays: b.KeyMaxLifetimeDays.Change, RotationOverlapHours: b.RotationOverlapHours.Change,
			SessionIdleHours: b.SessionIdleHours.Change, SessionMaxDays: b.SessionMaxDays.Change,
		},
	}))
}
