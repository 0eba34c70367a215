package edge

import (
	"bufio"
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/latchkey/latchkey/shared/validator"
	"github.com/latchkey/latchkey/shared/wire"
)

// A snapshot's file is a magic text and then frames, integers little-endian:
//
//	frame: length u32 | kind u8 | body | MAC [32]      length of kind and body
//	'h'  a preamble, JSON
//	'r'  fingerprint [32] | age i64, in ns | encoded record; any number
//	'e'  nothing: the records are complete
//	'c'  a change that was applied since, JSON; any number, added as they come
//
// Each MAC is HMAC-SHA-256 of the MAC before it and of kind and body, so that
// frames can be neither forged nor moved nor left out: only the last changes can
// be cut off, which is the file as it was before they came. The key is derived
// from the edge token by HKDF (RFC 5869).
const (
	snapshotMagic = "latchkey snapshot\x01" // the last byte is the version
	macKeyFor     = "latchkey edge snapshot"
	maxFrame      = wire.MaxEvent + 1<<10
	// maxSnapshot bounds the file: records past it are left out.
	maxSnapshot = 256 << 20
	recordFixed = 32 + 8

	frameHead   = 'h'
	frameRecord = 'r'
	frameEnd    = 'e'
	frameChange = 'c'
)

// Why a file is ignored.
var (
	errSnapVersion = errors.New("it is of another version")
	errSnapForeign = errors.New("it is damaged, or was not written with this edge token")
	errSnapTorn    = errors.New("it is cut short or damaged")
	errSnapFuture  = errors.New("it is of the future: the clock went back")
	errSnapOld     = errors.New("it is older than the staleness budget")
	errSnapLarge   = errors.New("it is too large")
)

// chain makes the MAC of each frame from that of the one before.
type chain struct {
	mac  hash.Hash
	last [sha256.Size]byte
}

func newChain(token string) (*chain, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, macKeyFor, sha256.Size)
	if err != nil {
		return nil, err
	}
	c := &chain{mac: hmac.New(sha256.New, key)}
	c.next([]byte(snapshotMagic))
	return c, nil
}

func (c *chain) next(body []byte) []byte {
	c.mac.Reset()
	c.mac.Write(c.last[:])
	c.mac.Write(body)
	return c.mac.Sum(c.last[:0])
}

// snapWriter writes frames. An error leaves a file that is not whole.
type snapWriter struct {
	file    *os.File
	out     *bufio.Writer
	chain   *chain
	size    int64
	records int
	body    []byte // of the frame that is written, kept for the next
}

func newSnapWriter(f *os.File, token string) (*snapWriter, error) {
	c, err := newChain(token)
	if err != nil {
		return nil, err
	}
	w := &snapWriter{file: f, out: bufio.NewWriterSize(f, 64<<10), chain: c, size: int64(len(snapshotMagic))}
	_, err = w.out.WriteString(snapshotMagic)
	return w, err
}

// frame writes body, whose first byte is its kind.
func (w *snapWriter) frame(body []byte) error {
	w.size += int64(4 + len(body) + sha256.Size)
	if len(body) > maxFrame || w.size > maxSnapshot {
		return errSnapLarge
	}
	var length [4]byte
	binary.LittleEndian.PutUint32(length[:], uint32(len(body)))
	_, _ = w.out.Write(length[:]) // bufio keeps the first error
	_, _ = w.out.Write(body)
	_, err := w.out.Write(w.chain.next(body))
	return err
}

func (w *snapWriter) json(kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.frame(append([]byte{kind}, b...))
}

// all writes a file but its changes, and gives up when ctx ends.
func (w *snapWriter) all(ctx context.Context, p *preamble, records iter.Seq[validator.Kept]) error {
	if err := w.json(frameHead, p); err != nil {
		return err
	}
	for k := range records {
		w.body = append(append(w.body[:0], frameRecord), k.Fingerprint[:]...)
		w.body = binary.LittleEndian.AppendUint64(w.body, uint64(k.Age))
		w.body = append(w.body, k.Record...)
		if w.size+int64(len(w.body)) > maxSnapshot-2*maxFrame {
			break // room is left for changes
		}
		if err := cmp.Or(ctx.Err(), w.frame(w.body)); err != nil {
			return err
		}
		w.records++
	}
	return w.frame([]byte{frameEnd})
}

func (w *snapWriter) changes(all []validator.Change) error {
	for i := range all {
		if err := w.json(frameChange, &all[i]); err != nil {
			return err
		}
	}
	return w.out.Flush()
}

// snapReader reads frames.
type snapReader struct {
	in    *bufio.Reader
	chain *chain
	body  []byte
}

// openSnapshot opens a file and reads as far as its preamble. An error that
// wraps os.ErrNotExist: there is none.
func openSnapshot(path, token string) (f *os.File, r *snapReader, p *preamble, err error) {
	// Not blocking, should it be a pipe.
	if f, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		return nil, nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, nil, nil, err
	case !info.Mode().IsRegular():
		return nil, nil, nil, errors.New("it is no regular file")
	case info.Size() > maxSnapshot:
		return nil, nil, nil, errSnapLarge
	}
	r = &snapReader{in: bufio.NewReaderSize(io.LimitReader(f, maxSnapshot), 64<<10)}
	if r.chain, err = newChain(token); err != nil {
		return nil, nil, nil, err
	}
	p, err = r.preamble()
	return f, r, p, err
}

func (r *snapReader) preamble() (*preamble, error) {
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(r.in, magic); err != nil {
		return nil, errSnapTorn
	}
	if string(magic) != snapshotMagic {
		return nil, errSnapVersion
	}
	kind, body, err := r.frame()
	if err != nil {
		return nil, err
	}
	p := new(preamble)
	if kind != frameHead || json.Unmarshal(body, p) != nil {
		return nil, errSnapTorn
	}
	return p, nil
}

// frame returns the next frame, whose MAC is right; its body is overwritten by
// the next. io.EOF: there is none.
func (r *snapReader) frame() (kind byte, body []byte, err error) {
	var length [4]byte
	if _, err := io.ReadFull(r.in, length[:]); err == io.EOF {
		return 0, nil, io.EOF
	} else if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errSnapTorn, err)
	}
	n := int(binary.LittleEndian.Uint32(length[:]))
	if n < 1 || n > maxFrame {
		return 0, nil, errSnapTorn
	}
	if n += sha256.Size; cap(r.body) < n {
		r.body = make([]byte, n)
	}
	r.body = r.body[:n]
	if _, err := io.ReadFull(r.in, r.body); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errSnapTorn, err)
	}
	body, mac := r.body[:n-sha256.Size], r.body[n-sha256.Size:]
	if !hmac.Equal(mac, r.chain.next(body)) {
		return 0, nil, errSnapForeign
	}
	return body[0], body[1:], nil
}

// into reads the rest of the file and returns how far the log was applied.
func (r *snapReader) into(l *validator.Loading, applied int64) (records int, _ int64, err error) {
	for ended := false; ; {
		kind, body, err := r.frame()
		switch {
		case err == io.EOF && ended: //nolint:errorlint // an end within a frame is wrapped, and is none
			return records, applied, nil
		case err == io.EOF: //nolint:errorlint // likewise
			return 0, 0, errSnapTorn
		case err != nil:
			return 0, 0, err
		case kind == frameRecord && !ended && len(body) >= recordFixed:
			k := validator.Kept{Age: time.Duration(binary.LittleEndian.Uint64(body[32:])), Record: body[recordFixed:]}
			copy(k.Fingerprint[:], body)
			if err := l.Put(k); err != nil {
				return 0, 0, err
			}
			records++
		case kind == frameEnd && !ended:
			ended = true
		case kind == frameChange && ended:
			var c validator.Change
			if err := json.Unmarshal(body, &c); err != nil {
				return 0, 0, errSnapTorn
			}
			l.Apply(c)
			applied = max(applied, c.Number)
		default:
			return 0, 0, errSnapTorn
		}
	}
}
