package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"
)

// How long each step may take. A start includes recovery after a crash.
const (
	initTimeout  = time.Minute
	startTimeout = time.Minute
	leaveTimeout = 10 * time.Second // children of a killed server
	stopTimeout  = 20 * time.Second
	joinTimeout  = 90 * time.Second // for an owner that is starting or ending
)

// Config says which server to open.
type Config struct {
	DataDir string // made where it is missing; the database files go there, or see the package comment

	// Binaries are the installations to choose from, as Find returns them. They
	// may be empty: joining needs none, and a server that ran before is started
	// with the programs that it ran with.
	Binaries Binaries

	// Fast gives up every promise about a loss of power; what is committed still
	// survives a kill of the server. For tests only.
	Fast bool

	Log func(string) // told what an operator should know, one line each; may be nil
}

// Server is a running PostgreSQL, owned or joined. Its methods may be called
// from several goroutines.
type Server struct {
	site   site
	lock   *os.File // nil when joined
	with   Installation
	fast   bool
	mu     sync.Mutex
	socket string
	now    *process // the owner's
}

// Open joins the server that runs on the data directory, or starts it and owns
// it from then on. It makes the database files where there are none. The caller
// closes it.
func Open(ctx context.Context, config Config) (*Server, error) {
	log := config.Log
	if log == nil {
		log = func(string) {}
	}
	s, err := locate(config.DataDir, os.Getuid() == 0, log)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", config.DataDir, err)
	}
	within, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	var server *Server
	poll(within, func() bool {
		server, err = s.joinOrOwn(ctx, config, log)
		return server != nil || err != nil
	})
	if server == nil && err == nil {
		err = fmt.Errorf("another process holds %s, but its PostgreSQL does not answer: %w", s.lockFile(), within.Err())
	}
	return server, err
}

// joinOrOwn returns nothing at all while the owner is starting or ending.
func (s site) joinOrOwn(ctx context.Context, config Config, log func(string)) (*Server, error) {
	lock, err := s.lock()
	if err != nil {
		return nil, err
	}
	if lock != nil {
		server, err := s.own(ctx, lock, config, log)
		if err != nil {
			return nil, errors.Join(err, lock.Close())
		}
		return server, nil
	}
	running, err := s.readState()
	if err != nil || !running.answers() {
		return nil, err
	}
	return &Server{site: s, socket: running.SocketDir}, nil
}

// own starts the server under a lock that the caller holds.
func (s site) own(ctx context.Context, lock *os.File, config Config, log func(string)) (*Server, error) {
	with, err := s.choose(config.Binaries)
	if err != nil {
		return nil, err
	}
	crashed, err := s.clear(ctx, log)
	if err != nil {
		return nil, err
	}
	if !exists(s.files) {
		log("making a new database in " + s.files) // also where one of before was meant
		if err := s.initialise(ctx, with, config.Fast); err != nil {
			return nil, err
		}
	}
	socket, err := s.newSocketDir()
	if err != nil {
		return nil, err
	}
	server := &Server{site: s, lock: lock, with: with, fast: config.Fast, socket: socket}
	if err := server.start(ctx, crashed); err != nil {
		removeSocketDir(socket)
		return nil, err
	}
	return server, nil
}

// choose picks the programs: of the version that made the files, and within
// reach of the account that runs them.
func (s site) choose(known Binaries) (Installation, error) {
	was, err := s.readState()
	if err != nil {
		return Installation{}, err
	}
	if before, err := inspect(was.Binaries); was.Binaries != "" && err == nil {
		known = append(slices.Clone(known), before)
	}
	if len(known) == 0 {
		if known, err = Find(); err != nil {
			return Installation{}, err
		}
	}
	major, err := s.major()
	if err != nil {
		return Installation{}, err
	}
	fitting := known.forFiles(major)
	if len(fitting) == 0 {
		return Installation{}, fmt.Errorf("the database files in %s are of PostgreSQL %d, and this machine has %s: "+
			"install PostgreSQL %d, or move the files away to start without their data", s.files, major, known, major)
	}
	for _, installation := range fitting {
		if s.account.reaches(installation.Dir) {
			return installation, nil
		}
	}
	return Installation{}, fmt.Errorf("account %s, which is to run PostgreSQL for root, cannot reach it (%s): "+
		"install it for the whole machine, or put it in %s", s.account.name, fitting, fetchedDir)
}

// start runs the server and lets others know; crashed: see site.run. The caller
// holds mu or is alone.
func (s *Server) start(ctx context.Context, crashed bool) error {
	p, err := s.site.run(ctx, s, crashed)
	if err != nil {
		return err
	}
	s.now = p
	err = s.site.writeState(state{PID: p.pid, SocketDir: s.socket, DataDir: s.site.files, Binaries: s.with.Dir})
	if err != nil {
		return errors.Join(err, p.stop(ctx))
	}
	return nil
}

// DSN is the connection string, a URL. It has no password: see the package
// comment for who may connect. It stays the same across Restart.
func (s *Server) DSN() string {
	dsn := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/postgres"}
	dsn.RawQuery = url.Values{"host": {s.socket}, "port": {socketPort}, "sslmode": {"disable"}}.Encode()
	return dsn.String()
}

// Joined reports whether another process owns the server; it ends when that
// process ends it.
func (s *Server) Joined() bool { return s.lock == nil }

// Dir is where the database files are.
func (s *Server) Dir() string { return s.site.files }

// PID is the process id of the server, zero when joined.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return 0
	}
	return s.now.pid
}

// Done is closed when the server and all its processes are gone, stopped or
// crashed. It is nil, and blocks, when joined. Restart brings another one.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return nil
	}
	return s.now.done
}

// Restart stops the owned server where it runs and starts it again.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return errors.New("only the owner restarts a server")
	}
	if err := s.now.stop(ctx); err != nil {
		return err
	}
	return s.start(ctx, false)
}

// Close stops an owned server with a fast shutdown, which ends the connections
// of those who joined, and lets go of the files; when ctx ends first, it stops
// hard, which loses nothing that was committed. A joined server is left alone.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return nil
	}
	// First of all nobody joins any more.
	err := s.site.writeState(state{DataDir: s.site.files, Binaries: s.with.Dir})
	err = errors.Join(err, s.now.stop(ctx))
	s.now = nil
	removeSocketDir(s.socket)
	return errors.Join(err, s.lock.Close())
}
