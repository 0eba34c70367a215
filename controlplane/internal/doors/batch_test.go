package doors

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

// postTo sends a body to an address of the door.
func (d *door) postTo(t *testing.T, path, body string, headers ...string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

type verdicts struct {
	Verdicts []map[string]any `json:"verdicts"`
}

// Verdicts come in the order of the requests, each as POST /v1/auth gives it.
func TestBatch(t *testing.T) {
	t.Parallel()
	d := open(t)
	good := d.add(apikey.KindAPI, nil)
	revoked := d.add(apikey.KindAPI, func(r *apikey.Record) { r.Key.RevokedAt = 1 })
	bound := d.add(apikey.KindAPI, func(r *apikey.Record) { r.Key.AllowPaths = apikey.NewStrings("/reports") })
	requests := []string{
		fmt.Sprintf(`{"auth_key":%q}`, good), fmt.Sprintf(`{"auth_key":%q}`, revoked), `{}`, `{"auth_key":"x"}`,
		fmt.Sprintf(`{"auth_key":%q,"scopes":["admin"]}`, good), fmt.Sprintf(`{"auth_key":%q,"path":"/reports/7"}`, bound),
		fmt.Sprintf(`{"auth_key":%q}`, exampleKey), fmt.Sprintf(`{"auth_key":%q}`, d.add(apikey.KindManagement, nil)),
		fmt.Sprintf(`{"auth_key":%q}`, d.add(apikey.KindAPI, func(r *apikey.Record) { r.Needs = apikey.NewStrings("later") })),
	}
	for len(requests) < maxBatch {
		requests = append(requests, requests[0])
	}
	status, text := d.postTo(t, batchPath, `{"requests":[`+strings.Join(requests, ",")+`]}`)
	var got verdicts
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != http.StatusOK || len(got.Verdicts) != maxBatch {
		t.Fatalf("%d %s", status, text)
	}
	for i, want := range []string{"VALID", "REVOKED", "MISSING_CREDENTIAL", "MALFORMED", "INSUFFICIENT_SCOPE", "PATH_NOT_ALLOWED", "KEY_NOT_FOUND", "KEY_NOT_FOUND", "UNDECIDED", "VALID"} {
		v := got.Verdicts[i]
		alone := d.post(t, requests[i], nil)
		if v["code"] != want || v["valid"] != (want == "VALID") || v["code"] != alone.body["code"] || v["detail"] != alone.body["detail"] || v["status"] != alone.body["status"] {
			t.Errorf("verdict %d is %v, alone it is %v", i, v, alone.body)
		}
		if (v["subscription"] == nil) != (alone.body["subscription"] == nil) || (v["retry_after_seconds"] == nil) != (want != "UNDECIDED") {
			t.Errorf("verdict %d: %v", i, v)
		}
	}
	caller := d.add(apikey.KindManagement, func(r *apikey.Record) { r.Key.Scopes = apikey.NewStrings("auth:on-behalf") })
	_, text = d.postTo(t, batchPath, `{"requests":[`+requests[5]+`]}`, "Authorization", "Bearer "+caller)
	if err := json.Unmarshal([]byte(text), &got); err != nil || got.Verdicts[0]["code"] != "VALID" {
		t.Errorf("on behalf of the client: %s", text)
	}
	d.neverRepeats(t, good, answer{header: http.Header{}})
}

// A batch that cannot be understood, or whose caller is not good, is a problem.
func TestBatchProblems(t *testing.T) {
	t.Parallel()
	d := open(t)
	secret := d.add(apikey.KindAPI, nil)
	one := fmt.Sprintf(`{"auth_key":%q}`, secret)
	for name, test := range map[string]struct {
		body   string
		header []string
		status int
		says   string
	}{
		"none":             {`{"requests":[]}`, nil, 422, `"body.requests"`},
		"absent":           {`{}`, nil, 422, `"body.requests"`},
		"101":              {`{"requests":[` + one + strings.Repeat(","+one, 100) + `]}`, nil, 422, `"body.requests"`},
		"unknown member":   {`{"requests":[` + one + `,{"auth_key":"x","cost":1}]}`, nil, 422, `"body.requests[1].cost"`},
		"wrong values":     {`{"requests":[{"scopes":["a","B"]},{"path":"x"}]}`, nil, 422, `"body.requests[0].scopes[1]"`},
		"and the other":    {`{"requests":[{"scopes":["a","B"]},{"path":"x"}]}`, nil, 422, `"body.requests[1].path"`},
		"a list":           {`[` + one + `]`, nil, 422, `"body"`},
		"null in it":       {`{"requests":[null]}`, nil, 200, "MISSING_CREDENTIAL"},
		"cut short":        {`{"requests":[` + one, nil, 400, "MALFORMED_REQUEST"},
		"an API key calls": {`{"requests":[` + one + `]}`, []string{"Authorization", "Bearer " + secret}, 401, "UNAUTHENTICATED"},
	} {
		if status, text := d.postTo(t, batchPath, test.body, test.header...); status != test.status || !strings.Contains(text, test.says) || strings.Contains(text, secret) {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

// slowJudge takes a second for each key and counts how many it judges at once.
type slowJudge struct{ now, most atomic.Int64 }

func (j *slowJudge) Validate(ctx context.Context, _ *apikey.Request) apikey.Verdict {
	now := j.now.Add(1)
	defer j.now.Add(-1)
	for most := j.most.Load(); now > most && !j.most.CompareAndSwap(most, now); most = j.most.Load() {
	}
	select {
	case <-ctx.Done():
		return apikey.Verdict{}
	case <-time.After(time.Second):
		return apikey.Verdict{Code: apikey.Valid}
	}
}

// However slow look-ups are, a batch is over in time, and however many batches
// there are, all together judge no more at once than requests and helpers.
func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		judge := new(slowJudge)
		b := newBatch(&auth{judge: judge, prefixes: func() apikey.Prefixes { return apikey.Prefixes{"lk"} }})
		ask := func() []*authRequest {
			all := make([]*authRequest, maxBatch)
			for i := range all {
				all[i] = &authRequest{AuthRequest: AuthRequest{AuthKey: exampleKey}}
			}
			return all
		}
		start := time.Now()
		valid, undecided := 0, 0
		for _, v := range b.judgeAll(t.Context(), ask()) {
			switch v.Code {
			case apikey.Valid:
				valid++
			case apikey.Undecided:
				undecided++
			}
		}
		if took := time.Since(start); took > batchPatience+time.Second || judge.most.Load() != 1+batchHelpers || valid < 4*(1+batchHelpers) || valid+undecided != maxBatch {
			t.Errorf("one batch: %v, %d at once, %d judged, %d not", took, judge.most.Load(), valid, undecided)
		}
		const batches = 50
		var running sync.WaitGroup
		for range batches {
			running.Go(func() { b.judgeAll(t.Context(), ask()) })
		}
		running.Wait()
		if judge.most.Load() != batches+maxHelpers || len(b.helpers) != 0 {
			t.Errorf("%d batches: %d at once, %d helpers out", batches, judge.most.Load(), len(b.helpers))
		}
	})
}

// panicJudge is a defect.
type panicJudge struct{}

func (panicJudge) Validate(context.Context, *apikey.Request) apikey.Verdict { panic("a defect") }

// A panic of a helper reaches the request, whose chain answers for it, not the
// process.
func TestAPanicInABatchIsTheRequests(t *testing.T) {
	t.Parallel()
	b := newBatch(&auth{judge: panicJudge{}, prefixes: func() apikey.Prefixes { return apikey.Prefixes{"lk"} }})
	defer func() {
		if recover() == nil || len(b.helpers) != 0 {
			t.Error("the panic was lost, or a helper")
		}
	}()
	all := make([]*authRequest, maxBatch)
	for i := range all {
		all[i] = &authRequest{AuthRequest: AuthRequest{AuthKey: exampleKey}}
	}
	b.judgeAll(t.Context(), all)
}

// A door has no parameters: a condition that stands in the address, where other
// proxies' doors have theirs, is refused by name and never dropped.
func TestNoDoorTakesAQuery(t *testing.T) {
	t.Parallel()
	d := open(t)
	one := fmt.Sprintf(`{"auth_key":%q}`, d.add(apikey.KindAPI, nil))
	bodies := map[string]string{authPath: one, explainPath: one, batchPath: `{"requests":[` + one + `]}`}
	for query, location := range map[string]string{
		"scopes=admin": "query.scopes", "": "", "&": "", "x": "query.x", "a=1;b=2": "query", "a=%zz": "query", "%00=": "query", "ü=1": "query",
	} {
		for path, body := range bodies {
			if path == explainPath && location == "" {
				continue // nobody explains here
			}
			status, text := d.postTo(t, path+"?"+query, body)
			var p struct {
				Code   string
				Errors []struct{ Location string }
			}
			if err := json.Unmarshal([]byte(text), &p); err != nil {
				t.Fatal(err)
			}
			if location == "" {
				if status != http.StatusOK {
					t.Errorf("%s?%s: %d %s", path, query, status, text)
				}
				continue
			}
			if status != http.StatusUnprocessableEntity || p.Code != "INVALID_VALUE" || len(p.Errors) == 0 || p.Errors[0].Location != location {
				t.Errorf("%s?%s: %d %s", path, query, status, text)
			}
		}
	}
}
