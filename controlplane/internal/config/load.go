package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Fault is one variable that is not as it must be.
type Fault struct {
	Name string // of the variable
	Want string // what would be right; never the value
}

// Faults is the error of Load: everything that is wrong, in the order of
// .env.example.
type Faults []Fault

func (f Faults) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the configuration has %d fault(s):", len(f))
	for _, fault := range f {
		fmt.Fprintf(&b, "\n  %s: %s", fault.Name, fault.Want)
	}
	return b.String()
}

func (f *Faults) add(name, format string, args ...any) {
	*f = append(*f, Fault{Name: name, Want: fmt.Sprintf(format, args...)})
}

// Load reads a configuration from an environment in the form of os.Environ.
// readFile reads what NAME_FILE names. An empty variable is an absent one. The
// error is a Faults that names everything that is wrong at once.
func Load(environ []string, readFile func(string) ([]byte, error)) (Config, error) {
	var faults Faults
	values := resolve(environ, readFile, &faults)
	var c Config
	err := env.ParseWithOptions(&c, env.Options{Environment: values})
	if err != nil && !faults.addParse(err) {
		return Config{}, err
	}
	if c.Production() && values["LATCHKEY_LISTEN"] == "" {
		c.Listen = productionListen
	}
	if values["COOKIE_SECURE"] == "" {
		c.CookieSecure = c.Production() || c.PublicURL.HTTPS()
	}
	c.check(values, &faults)
	if len(faults) > 0 {
		faults.sort()
		return Config{}, faults
	}
	return c, nil
}

// check applies the rules between variables. A variable that is there but was
// not understood counts as given: it has its own fault already.
func (c *Config) check(values map[string]string, faults *Faults) {
	given := func(name string) bool { _, ok := values[name]; return ok }
	if given("ADMIN_PASSWORD") && given("ADMIN_PASSWORD_HASH") {
		faults.add("ADMIN_PASSWORD", "want either this or ADMIN_PASSWORD_HASH, not both")
	}
	if !c.Production() {
		return
	}
	if !given("DATABASE_URL") {
		faults.add("DATABASE_URL", "want a PostgreSQL DSN: production does not run on a private PostgreSQL")
	}
	if !given("SECRET_KEY") {
		faults.add("SECRET_KEY", "want at least %d random bytes: production generates none, for every replica needs the same", minSecretKey)
	}
	if !given("LATCHKEY_PEPPERS") {
		faults.add("LATCHKEY_PEPPERS", "want id:secret: production generates none, for every replica needs the same")
	}
	if given("ADMIN_PASSWORD") {
		faults.add("ADMIN_PASSWORD", "want ADMIN_PASSWORD_HASH instead (latchkey hash-password): production takes no plain password")
	}
}

// addParse translates the errors of the parser, which know a field and may
// quote its value, into faults that know the variable and do not.
func (f *Faults) addParse(err error) bool {
	aggregate, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return false
	}
	for _, one := range aggregate.Errors {
		parse, ok := errors.AsType[env.ParseError](one)
		if !ok {
			return false
		}
		field, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
		want := "want true or false"
		if field.Type.Kind() != reflect.Bool {
			want = parse.Err.Error() // of this package: see values.go
		}
		f.add(field.Tag.Get("env"), "%s", want)
	}
	return true
}

// sort orders faults as the variables are; unknown names come last.
func (f Faults) sort() {
	order := names()
	rank := func(name string) int {
		if i := slices.Index(order, strings.TrimSuffix(name, fileSuffix)); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(f, func(a, b Fault) int {
		if d := rank(a.Name) - rank(b.Name); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// names returns every variable of Config, in order.
func names() []string {
	var all []string
	for field := range reflect.TypeFor[Config]().Fields() {
		all = append(all, field.Tag.Get("env"))
	}
	return all
}
