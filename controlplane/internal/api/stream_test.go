package api

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// A stream outlives the limits that the server sets for requests and answers,
// and one that fails is cut off.
func TestAStreamHasLimitsOfItsOwn(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	for name, failure := range map[string]error{"whole": nil, "cut off": errors.New("the database went away")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			lines := 0
			api := humago.New(mux, huma.DefaultConfig("test", "1"))
			huma.Register(api, huma.Operation{Method: http.MethodGet, Path: "/stream", OperationID: "stream"},
				func(context.Context, *struct{}) (*huma.StreamResponse, error) {
					return &huma.StreamResponse{Body: func(ctx huma.Context) {
						streamLines(ctx, "attachment", func(write func(any) error) error {
							for end := time.Now().Add(5 * limit); time.Now().Before(end); lines++ {
								if err := errors.Join(write(lines), ctx.Context().Err()); err != nil {
									return err
								}
							}
							return failure
						})
					}}, nil
				})
			server := httptest.NewUnstartedServer(mux)
			server.Config.ReadTimeout, server.Config.WriteTimeout = limit, limit
			server.Start()
			defer server.Close()
			response, err := http.Get(server.URL + "/stream")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			got := 0
			scanner := bufio.NewScanner(response.Body)
			for scanner.Scan() {
				got++
			}
			if failure == nil && (scanner.Err() != nil || got != lines) || failure != nil && scanner.Err() == nil {
				t.Errorf("%d lines of %d, %v", got, lines, scanner.Err())
			}
		})
	}
}
