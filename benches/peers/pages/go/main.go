// The pages by hand, with net/http and pgx. The key is compared with a constant.
package main

import (
	"context"
	"crypto/subtle"
	"errors"
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

// pageQuery is all that a page by hand is.
const pageQuery = `select body::text from transactions_by_hand where updated_at >= $1
	order by updated_at, id limit $2 offset $3`

// number reads a parameter from 1 on.
func number(query url.Values, name string, otherwise int) (int, error) {
	if !query.Has(name) {
		return otherwise, nil
	}
	value, err := strconv.Atoi(query.Get(name))
	if err == nil && value < 1 {
		err = strconv.ErrRange
	}
	return value, err
}

// parse reads what is asked for: from when on, how many rows are passed over, and how many are given.
func parse(query url.Values) (from time.Time, skip, size int, err error) {
	if query.Has("updatedAtFrom") {
		from, err = time.Parse(time.RFC3339, query.Get("updatedAtFrom"))
	}
	page, pageErr := number(query, "page", 1)
	size, sizeErr := number(query, "pageSize", 100)
	if sizeErr == nil && size > 1000 {
		sizeErr = strconv.ErrRange
	}
	return from, (page - 1) * size, size, errors.Join(err, pageErr, sizeErr)
}

func transactions(pool *pgxpool.Pool, expected []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), expected) != 1 {
			http.Error(w, `{"title":"Unauthorized"}`, http.StatusUnauthorized)
			return
		}
		from, skip, size, err := parse(r.URL.Query())
		if err != nil {
			http.Error(w, `{"title":"Bad Request"}`, http.StatusBadRequest)
			return
		}
		rows, _ := pool.Query(r.Context(), pageQuery, from, size, skip)
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
