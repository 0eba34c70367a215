package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"
)

// lifetime is when the engine ends a container that we failed to remove.
const lifetime = 30 * time.Minute

// startContainer runs PostgreSQL in a container of the Docker engine that
// DOCKER_HOST names, or of the local one.
func startContainer(ctx context.Context, durable bool) (dsn string, remove func() error, err error) {
	pool, err := dockertest.NewPool("")
	if err != nil {
		return "", nil, fmt.Errorf("docker: %w", err)
	}
	if err := pool.Client.PingWithContext(ctx); err != nil { // NewPool asks nobody
		return "", nil, fmt.Errorf("no Docker engine answers: %w", err)
	}
	settings := "max_connections=200"
	if !durable {
		settings += " fsync=off full_page_writes=off"
	}
	options := &dockertest.RunOptions{
		Repository: "postgres", Tag: "17-alpine",
		Env: []string{"POSTGRES_USER=latchkey", "POSTGRES_PASSWORD=latchkey", "POSTGRES_DB=postgres"},
		Cmd: []string{"postgres"},
	}
	for _, setting := range strings.Fields(settings) {
		options.Cmd = append(options.Cmd, "-c", setting)
	}
	container, err := pool.RunWithOptions(options, func(host *docker.HostConfig) { host.AutoRemove = true })
	if err != nil {
		return "", nil, fmt.Errorf("docker: %w", err)
	}
	remove = func() error { return pool.Purge(container) }
	if err := container.Expire(uint(lifetime.Seconds())); err != nil {
		return "", nil, fmt.Errorf("docker: %w (and %w)", err, remove())
	}
	at := url.URL{
		Scheme: "postgres", User: url.UserPassword("latchkey", "latchkey"),
		Host: container.GetHostPort("5432/tcp"), Path: "/postgres", RawQuery: "sslmode=disable",
	}
	pool.MaxWait = 2 * time.Minute
	err = pool.Retry(func() error {
		conn, err := pgx.Connect(ctx, at.String())
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	if err != nil {
		return "", nil, fmt.Errorf("PostgreSQL in a container does not answer: %w (and %w)", err, remove())
	}
	return at.String(), remove, nil
}
