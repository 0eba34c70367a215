// Command echo is the upstream of docker-compose.yml: it answers every request
// with what it was sent, so that one sees what the gateway hides and adds. With
// -check it asks the echo on this machine instead, and fails where none answers:
// its image holds no other program for a health check.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"
)

const patience = 5 * time.Second

func main() {
	check := flag.Bool("check", false, "ask the echo at -listen whether it answers")
	listen := flag.String("listen", "127.0.0.1:8080", "address to answer or to ask at")
	flag.Parse()
	if *check {
		if err := ask(*listen); err != nil {
			log.Fatal(err)
		}
		return
	}
	s := &http.Server{
		Addr: *listen, Handler: http.HandlerFunc(echo),
		ReadTimeout: patience, WriteTimeout: patience, MaxHeaderBytes: 64 << 10,
	}
	log.Fatal(s.ListenAndServe())
}

// echo answers with the request but its body.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client may be gone
		"method": r.Method, "path": r.URL.RequestURI(), "host": r.Host, "headers": r.Header,
	})
}

func ask(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the echo answers %s", response.Status)
	}
	return nil
}
