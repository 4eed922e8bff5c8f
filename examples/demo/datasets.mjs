// The demo's data: five real data sets of the npm package vega-datasets, each as a table with its columns and rows.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { csvParse } from 'd3-dsv';

/** @typedef {string | number | boolean | Date | string[] | object | null} Value */
/** @typedef {Record<string, Value>} Row values by column name */

/**
 * @typedef {object} Dataset
 * @property {string} table
 * @property {string} key the column of the primary key
 * @property {Readonly<Record<string, string>>} columns PostgreSQL's types by column name, in the table's order
 * @property {() => Row[]} readRows reads the package's file; every row has all columns
 */

const DATA_FOLDER = path.join(path.dirname(createRequire(import.meta.url).resolve('vega-datasets/package.json')), 'data');

/** @type {Dataset} */
const airports = {
  table: 'airports',
  key: 'iata',
  columns: {
    iata: 'text',
    name: 'text',
    city: 'text',
    state: 'text',
    country: 'text',
    latitude: 'double precision',
    longitude: 'double precision',
  },
  readRows: () =>
    csvParse(readText('airports.csv'), (row) => ({
      iata: row.iata ?? '',
      name: row.name ?? '',
      city: knownOrNull(row.city),
      state: knownOrNull(row.state),
      country: knownOrNull(row.country),
      latitude: Number(row.latitude),
      longitude: Number(row.longitude),
    })),
};

/** @type {Dataset} */
const zipcodes = {
  table: 'zipcodes',
  key: 'zip_code',
  columns: {
    zip_code: 'text',
    latitude: 'double precision',
    longitude: 'double precision',
    city: 'text',
    state: 'text',
    county: 'text',
  },
  readRows: () =>
    csvParse(readText('zipcodes.csv'), (row) => ({
      zip_code: row.zip_code ?? '',
      latitude: Number(row.latitude),
      longitude: Number(row.longitude),
      city: row.city ?? '',
      state: row.state ?? '',
      county: row.county ?? '',
    })),
};

/** @type {Dataset} */
const movies = {
  table: 'movies',
  // Titles repeat and one is missing, so the key is the position in the file.
  key: 'id',
  columns: {
    id: 'integer',
    title: 'text',
    us_gross: 'numeric(14, 2)',
    worldwide_gross: 'numeric(14, 2)',
    us_dvd_sales: 'numeric(14, 2)',
    production_budget: 'numeric(14, 2)',
    release_date: 'date',
    mpaa_rating: 'text',
    running_time_min: 'integer',
    distributor: 'text',
    source: 'text',
    major_genre: 'text',
    creative_type: 'text',
    director: 'text',
    rotten_tomatoes_rating: 'integer',
    imdb_rating: 'double precision',
    imdb_votes: 'integer',
  },
  readRows: () =>
    readJson('movies.json').map((/** @type {Record<string, any>} */ movie, /** @type {number} */ index) => ({
      id: index + 1,
      // The file holds titles such as "1776" as numbers.
      title: movie.Title === null ? null : String(movie.Title),
      us_gross: movie['US Gross'],
      worldwide_gross: movie['Worldwide Gross'],
      us_dvd_sales: movie['US DVD Sales'],
      production_budget: movie['Production Budget'],
      release_date: isoDate(movie['Release Date']),
      mpaa_rating: movie['MPAA Rating'],
      running_time_min: movie['Running Time min'],
      distributor: movie.Distributor,
      source: movie.Source,
      major_genre: movie['Major Genre'],
      creative_type: movie['Creative Type'],
      director: movie.Director,
      rotten_tomatoes_rating: movie['Rotten Tomatoes Rating'],
      imdb_rating: movie['IMDB Rating'],
      imdb_votes: movie['IMDB Votes'],
    })),
};

/** @type {Dataset} */
const earthquakes = {
  table: 'earthquakes',
  key: 'id',
  columns: {
    id: 'text',
    mag: 'double precision',
    mag_type: 'text',
    place: 'text',
    time: 'timestamptz',
    updated: 'timestamptz',
    tz: 'integer',
    felt: 'integer',
    cdi: 'double precision',
    mmi: 'double precision',
    alert: 'text',
    status: 'text',
    tsunami: 'boolean',
    sig: 'integer',
    net: 'text',
    code: 'text',
    ids: 'text[]',
    sources: 'text[]',
    types: 'text[]',
    nst: 'integer',
    dmin: 'double precision',
    rms: 'double precision',
    gap: 'double precision',
    type: 'text',
    title: 'text',
    url: 'text',
    detail: 'text',
    geometry: 'jsonb',
  },
  readRows: () =>
    readJson('earthquakes.json').features.map((/** @type {any} */ { id, geometry, properties }) => {
      const { magType, time, updated, tsunami, ids, sources, types, ...others } = properties;
      return {
        ...others,
        id,
        mag_type: magType,
        time: new Date(time),
        updated: new Date(updated),
        tsunami: tsunami === 1,
        ids: listItems(ids),
        sources: listItems(sources),
        types: listItems(types),
        geometry,
      };
    }),
};

/** @type {Dataset} */
const flights = {
  table: 'flights',
  // Nothing in the file tells two flights apart, so the key is the position in the file.
  key: 'id',
  columns: { id: 'integer', delay: 'integer', distance: 'integer', time: 'double precision' },
  readRows: () =>
    readJson('flights-200k.json').map((/** @type {Row} */ flight, /** @type {number} */ index) => ({
      id: index + 1,
      ...flight,
    })),
};

/**
 * All data sets, the largest last.
 * @type {readonly Dataset[]}
 */
export const DATASETS = [airports, zipcodes, movies, earthquakes, flights];

/** @param {string} name */
function readText(name) {
  return readFileSync(path.join(DATA_FOLDER, name), 'utf8');
}

/** @param {string} name */
function readJson(name) {
  return JSON.parse(readText(name));
}

/**
 * The airports' file says NA where something is not known.
 * @param {string | undefined} text
 */
function knownOrNull(text) {
  return text === undefined || text === 'NA' ? null : text;
}

/**
 * Items of a list written as `,a,b,`.
 * @param {string} text
 */
function listItems(text) {
  return text.split(',').filter((item) => item !== '');
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * @param {string} text such as `Jun 12 1998`
 * @returns {string} such as `1998-06-12`
 */
function isoDate(text) {
  const [month = '', day = '', year = ''] = text.split(' ');
  return `${year}-${String(MONTHS.indexOf(month) + 1).padStart(2, '0')}-${day}`;
}
