// The pages by hand, with net/http and pgx. The key is compared with a constant.
package main

import (
	"context"
	"crypto/subtle"
	"log"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const page = `select body::text from transactions_by_hand where updated_at >= $1
	order by updated_at, id limit $2 offset $3`

// number reads a parameter from 1 on.
func number(query url.Values, name string, otherwise int) (int, bool) {
	if !query.Has(name) {
		return otherwise, true
	}
	value, err := strconv.Atoi(query.Get(name))
	return value, err == nil && value >= 1
}

func transactions(pool *pgxpool.Pool, expected []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), expected) != 1 {
			http.Error(w, `{"title":"Unauthorized"}`, http.StatusUnauthorized)
			return
		}
		query, from := r.URL.Query(), time.Time{}
		number1, ok1 := number(query, "page", 1)
		size, ok2 := number(query, "pageSize", 100)
		if text := query.Get("updatedAtFrom"); text != "" {
			var err error
			from, err = time.Parse(time.RFC3339, text)
			ok1 = ok1 && err == nil
		}
		if !ok1 || !ok2 || size > 1000 {
			http.Error(w, `{"title":"Bad Request"}`, http.StatusBadRequest)
			return
		}
		rows, _ := pool.Query(r.Context(), page, from, size, (number1-1)*size)
		bodies, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			log.Print(err)
			http.Error(w, `{"title":"Internal Server Error"}`, http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte("[" + strings.Join(bodies, ",") + "]"))
	}
}

func main() {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /transactions", transactions(pool, []byte("Bearer "+os.Getenv("API_KEY"))))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
