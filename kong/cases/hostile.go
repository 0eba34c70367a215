package cases

import (
	"fmt"
	"strings"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// hostile is whatever a client may send where keys are looked for: it is never
// let through, and never a fault of ours. Which refusal it is the model says, and
// a real Kong must say the same.
func hostile() (all []Case) {
	good := Issue(nil)
	key := good.Text
	long := strings.Repeat("k", 8<<10)
	values := map[string]string{
		"8 KiB": long, "8 KiB behind a key": key + long, "CR LF": key + "\r\nX-Consumer-ID: root", "NUL": key[:20] + "\x00" + key[21:],
		"invalid UTF-8": "\xff\xfe", "key, then invalid UTF-8": key + "\xc3\x28", "comma": key + ", " + key, "space": key + " x",
		"list": `["` + key + `"]`, "SQL": "' OR 1=1; --", "controls": "\x01\x02\x7f", "management key": "lkm_" + key[8:], "another prefix": "xx" + key[2:],
	}
	escaped := strings.NewReplacer("\r", "%0d", "\n", "%0a", " ", "%20", "\x00", "%00", "\x01", "%01", "\x02", "%02", "\x7f", "%7f")
	want := refused(apikey.Malformed, apikey.KeyNotFound, apikey.MissingCredential, apikey.AmbiguousCredential)
	for kind, policy := range everyLook() {
		for name, v := range values {
			for place, req := range map[string]kongtest.Request{
				"header":     sent("X-API-Key", v),
				"underscore": sent("x_api_key", v),
				"repeated":   sent("X-API-Key", v, "X-API-Key", key),
				"Bearer":     sent("Authorization", "Bearer "+v),
				"query":      {Query: "X-API-Key=" + escaped.Replace(v)},
				"raw query":  {Query: "X-API-Key=" + v},
			} {
				c := Case{
					Name: fmt.Sprintf("hostile: %s in %s, %s", name, place, kind), Policy: policy, Request: req, Keys: []Key{good}, Want: want,
				}
				if name == "CR LF" && place != "query" {
					c.Unsendable = "the line end begins another header"
				}
				all = append(all, c)
			}
		}
	}
	return all
}

// everyLook are the policies that decide where credentials are looked for.
func everyLook() map[string]Policy {
	policies := map[string]Policy{}
	for _, strict := range []bool{false, true} {
		for _, open := range []bool{false, true} {
			policies[fmt.Sprintf("strict %v, anonymous %v", strict, open)] =
				with("strict_credentials", strict, "anonymous", open, "key_in_query", true)
		}
	}
	return policies
}

// queries are those that trip up who reads them carelessly.
func queries() (all []Case) {
	for kind, policy := range everyLook() {
		without := refused(apikey.MissingCredential)
		if policy["anonymous"] == true {
			without = anonymous()
		}
		for query, want := range map[string]Want{
			"X-API-Key": without, "X-API-Key&": without, "&&&": without, "=": without, "%": without, "%zz=%zz": without, "\xff": without,
			strings.Repeat("a&", 4000): without,
			"X-API-Key=%":              refused(apikey.Malformed), "X-API-Key=%ff": refused(apikey.Malformed),
		} {
			if want.Codes[0] == apikey.Valid {
				want.Query = query
			}
			all = append(all, Case{
				Name: fmt.Sprintf("hostile: ?%.20q, %s", query, kind), Policy: policy, Request: kongtest.Request{Query: query}, Want: want,
			})
		}
	}
	return all
}
