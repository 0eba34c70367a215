package web

// spanishWants says in Spanish what a single value is wanted to be, as the form of
// a request demands it whatever the domain.
var spanishWants = map[string]string{
	"there is no such member":    "no existe tal miembro",
	"there is no such parameter": "no existe tal parámetro",
	"this is needed":             "esto es obligatorio",
	"this takes no body":         "esto no admite cuerpo",

	"want a string":                           "se espera una cadena de texto",
	"want true or false":                      "se espera true o false",
	"want a number":                           "se espera un número",
	"want a whole number":                     "se espera un número entero",
	"want a whole number, in digits alone":    "se espera un número entero, escrito solo con cifras",
	"a number in it is too large":             "contiene un número demasiado grande",
	"want an array":                           "se espera un array",
	"want an object":                          "se espera un objeto",
	"want a value of another type":            "se espera un valor de otro tipo",
	"want one of %s":                          "se espera uno de estos valores: %s",
	"want %s or more":                         "se espera %s o más",
	"want %s or less":                         "se espera %s o menos",
	"want a text that is not empty":           "se espera un texto que no esté vacío",
	"want at least %s characters":             "se esperan al menos %s caracteres",
	"want at most %s characters":              "se esperan como máximo %s caracteres",
	"want an array that is not empty":         "se espera un array que no esté vacío",
	"want at most %s items":                   "se esperan como máximo %s elementos",
	"want letters, digits and any of _ . : -": "se esperan letras, cifras y cualquiera de _ . : -",
	"want letters, digits, . and -":           "se esperan letras, cifras, . y -",
	"want a word of a-z and _":                "se espera una palabra de a-z y _",

	"want a time as RFC 3339 writes it, such as 2026-01-31T00:00:00Z":                                       "se espera una fecha y hora según RFC 3339, como 2026-01-31T00:00:00Z",
	"want a time as RFC 3339 writes it, such as 2026-01-31T00:00:00Z; in an address a + is written as %%2B": "se espera una fecha y hora según RFC 3339, como 2026-01-31T00:00:00Z; en una dirección, un + se escribe %%2B",

	"something stands after the JSON value":          "hay algo después del valor JSON",
	"the JSON value ends too early":                  "el valor JSON termina antes de tiempo",
	"this member name stands in its object twice":    "este nombre de miembro aparece dos veces en su objeto",
	"not JSON in UTF-8 at byte %d":                   "no es JSON en UTF-8 en el byte %d",
	"it is nested deeper than %d levels":             "está anidado a más de %d niveles",
	"want a text without the NUL character":          "se espera un texto sin el carácter NUL",
	"want UTF-8 without NUL, encoded as in a URI":    "se espera UTF-8 sin NUL, codificado como en una URI",
	"it ended before its end":                        "terminó antes de su final",
	"want a value; leave it out where there is none": "se espera un valor; omítalo si no hay ninguno",
	"want it once": "se espera una sola vez",
}
