package edge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/validator"
	"github.com/latchkey/latchkey/shared/wire"
)

// lookupCalls is how many requests for records run at the same time.
const lookupCalls = 4

var (
	errUndecided  = errors.New("edge: the control plane could not read this record")
	errMiscounted = errors.New("edge: another number of records than was asked for")
)

// source is the validator's Source. Look-ups that come while all calls are under
// way wait together and go with the next, up to 256 in one; none waits for
// company.
type source struct {
	client    *client
	timeout   time.Duration // of one call, all attempts
	questions chan question
	counts    *counts
}

// question is one look-up. Nobody need be there to hear the answer.
type question struct {
	ctx    context.Context
	print  apikey.Fingerprint
	answer chan<- answer
}

type answer struct {
	validator.Answer
	err error
}

func newSource(c *client, timeout time.Duration, n *counts) *source {
	return &source{client: c, timeout: timeout, questions: make(chan question, wire.MaxFingerprints), counts: n}
}

// Lookup implements validator.Source.
func (s *source) Lookup(ctx context.Context, f apikey.Fingerprint) (validator.Answer, error) {
	heard := make(chan answer, 1)
	select {
	case s.questions <- question{ctx, f, heard}:
	case <-ctx.Done():
		return validator.Answer{}, ctx.Err()
	}
	select {
	case a := <-heard:
		return a.Answer, a.err
	case <-ctx.Done():
		return validator.Answer{}, ctx.Err()
	}
}

// run answers questions until ctx ends.
func (s *source) run(ctx context.Context) {
	var calls sync.WaitGroup
	for range lookupCalls {
		calls.Go(func() {
			for batch := s.next(ctx); batch != nil; batch = s.next(ctx) {
				s.ask(ctx, batch)
			}
		})
	}
	calls.Wait()
}

// next waits for a question and takes along all that wait too. It returns nil
// when ctx has ended.
func (s *source) next(ctx context.Context) (batch []question) {
	select {
	case <-ctx.Done():
		return nil
	case q := <-s.questions:
		batch = append(batch, q)
	}
	for len(batch) < wire.MaxFingerprints {
		select {
		case q := <-s.questions:
			batch = append(batch, q)
		default:
			return batch
		}
	}
	return batch
}

// ask makes one call for all questions that somebody still waits for.
func (s *source) ask(ctx context.Context, batch []question) {
	var asked []question
	var request wire.RecordsRequest
	for _, q := range batch {
		if q.ctx.Err() == nil {
			asked = append(asked, q)
			request.Fingerprints = append(request.Fingerprints, wire.Fingerprint(q.print))
		}
	}
	if len(asked) == 0 {
		return
	}
	records, err := s.call(ctx, request)
	s.counts.call(callRecords, err)
	for i, q := range asked {
		if err != nil {
			q.answer <- answer{err: err}
			continue
		}
		q.answer <- read(records.Records[i])
	}
}

func (s *source) call(ctx context.Context, request wire.RecordsRequest) (records wire.RecordsAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	body, err := s.client.post(ctx, wire.RecordsPath, request, wire.MaxAnswer, attemptTimeout)
	if err != nil {
		return records, err
	}
	if err := json.Unmarshal(body, &records); err != nil {
		return records, fmt.Errorf("%w: %w", errStranger, err)
	}
	if len(records.Records) != len(request.Fingerprints) {
		return records, errMiscounted
	}
	return records, nil
}

// read reads the answer to one question.
func read(value []byte) answer {
	if string(value) == string(wire.Undecided()) {
		return answer{err: errUndecided}
	}
	epoch, record, found, err := wire.DecodeRecord(value)
	return answer{validator.Answer{Found: found, Epoch: epoch, Record: record}, err}
}
