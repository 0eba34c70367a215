package access_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

func TestAZeroCallerMayDoNothing(t *testing.T) {
	t.Parallel()
	var nobody access.Caller
	for _, s := range access.Scopes {
		err := nobody.Require(s)
		if !fault.Is(err, fault.Forbidden) || !strings.Contains(err.Error(), string(s)) {
			t.Errorf("%s: %v", s, err)
		}
	}
	if nobody.MayTouch(access.Member) != nil {
		t.Error("a member holds nothing that could be lacking")
	}
}

func TestNobodyTouchesWhoMayMore(t *testing.T) {
	t.Parallel()
	for i, caller := range access.Roles {
		c := access.Caller{Scopes: caller.Scopes()}
		for j, target := range access.Roles {
			if got := c.MayTouch(target) == nil; got != (i >= j) {
				t.Errorf("%s touches %s: %v", caller, target, got)
			}
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		role access.Role
		has  []access.Scope
		not  []access.Scope
	}{
		{access.Member, nil, []access.Scope{access.KeysRead, access.All}},
		{access.Viewer, []access.Scope{access.KeysRead, access.GatewaysRead}, []access.Scope{access.AuditRead, access.KeysWrite, access.EdgeConnect}},
		{access.Operator, []access.Scope{access.KeysWrite, access.SubscriptionsWrite}, []access.Scope{access.UsersWrite, access.PlansWrite, access.AuditRead}},
		{access.Admin, []access.Scope{access.UsersWrite, access.AuditRead, access.SettingsWrite}, []access.Scope{access.All}},
		{access.Owner, []access.Scope{access.All}, nil},
		{"stranger", nil, []access.Scope{access.KeysRead, access.All}},
	} {
		for _, s := range test.has {
			if !slices.Contains(test.role.Scopes(), s) {
				t.Errorf("%s lacks %s", test.role, s)
			}
		}
		for _, s := range test.not {
			if slices.Contains(test.role.Scopes(), s) {
				t.Errorf("%s has %s", test.role, s)
			}
		}
	}
}

func TestGranting(t *testing.T) {
	t.Parallel()
	some := access.Caller{Scopes: []access.Scope{access.KeysRead}}
	if some.MayGrant([]string{"keys:read"}) != nil || some.MayGrant([]string{"keys:read", "*"}) == nil {
		t.Error("a caller grants what it holds, and nothing else")
	}
	if access.CLI("root").MayGrant([]string{"*"}) != nil {
		t.Error("the command line cannot grant everything")
	}
}
