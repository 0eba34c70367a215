package gateway

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// MaxFrame bounds one message, either way. Kong's own bound on a request's
// headers is far below it (nginx: four buffers of 8 KiB), a plugin
// configuration is a few kilobytes.
const MaxFrame = 1 << 20

// ErrFrame says that a message is longer than MaxFrame, so nothing that follows
// it on the connection can be trusted.
var ErrFrame = errors.New("frame is longer than the protocol's bound")

// Conn is one connection with a Kong worker. Kong runs one event at a time on a
// connection, so a Conn is used by one goroutine.
type Conn struct {
	raw net.Conn
	r   *bufio.Reader
	in  []byte // the last frame read
	out []byte // frames not sent yet
}

// NewConn takes over the framing of raw; its owner still closes it.
func NewConn(raw net.Conn) *Conn {
	return &Conn{raw: raw, r: bufio.NewReader(raw), out: make([]byte, 0, 512)}
}

// ReadFrame returns the next message; the bytes are valid until the next read.
// io.EOF says that Kong closed between two messages, anything else that the
// connection is of no more use.
func (c *Conn) ReadFrame() ([]byte, error) {
	head, err := c.r.Peek(4)
	if err != nil {
		if errors.Is(err, io.EOF) && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	n := int(binary.LittleEndian.Uint32(head))
	if n > MaxFrame {
		return nil, ErrFrame
	}
	if _, err := c.r.Discard(4); err != nil {
		return nil, err
	}
	if cap(c.in) < n {
		c.in = make([]byte, n, max(n, 512))
	}
	c.in = c.in[:n]
	if _, err := io.ReadFull(c.r, c.in); err != nil {
		return nil, fmt.Errorf("reading a frame of %d bytes: %w", n, noEOF(err))
	}
	return c.in, nil
}

// noEOF keeps a message that breaks off from looking like an orderly end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Send writes the frames in one system call.
func (c *Conn) Send(frames ...[]byte) error {
	for _, f := range frames {
		at := c.begin()
		c.out = append(c.out, f...)
		c.end(at)
	}
	return c.flush()
}

// begin opens a frame in the output buffer; end writes its length.
func (c *Conn) begin() (at int) {
	at = len(c.out)
	c.out = append(c.out, 0, 0, 0, 0)
	return at
}

func (c *Conn) end(at int) {
	binary.LittleEndian.PutUint32(c.out[at:], uint32(len(c.out)-at-4))
}

func (c *Conn) flush() error {
	defer func() { c.out = c.out[:0] }()
	if len(c.out) > MaxFrame {
		return ErrFrame
	}
	_, err := c.raw.Write(c.out)
	return err
}
