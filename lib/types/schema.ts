// The entity schema that an application declares: fields, relations and indexes of one table or collection.

/** The type of a field, from which each dialect derives its column type. */
export type FieldType = 'string' | 'text' | 'number' | 'boolean' | 'date' | 'json' | 'array';

/** One field of an entity. */
export interface FieldDef {
  type: FieldType;
  /** Whether a value must be given. */
  required?: boolean;
  /** Whether no two rows may hold the same value. */
  unique?: boolean;
  /** Whether the unique index leaves out rows without a value. */
  sparse?: boolean;
  /** The value used on insert when none is given; `'now'` on a date is the time of insert. */
  default?: unknown;
  /** The values allowed. */
  enum?: unknown[];
  /** Whether text is put in lower case before a write. */
  lowercase?: boolean;
  /** Whether text is trimmed before a write. */
  trim?: boolean;
  /** The type of an array's items; it documents, and is not enforced. */
  arrayOf?: FieldType | EmbeddedSchemaDef | Record<string, unknown>;
}

/** The fields of the objects in an array. */
export interface EmbeddedSchemaDef {
  kind: 'embedded';
  fields: Record<string, FieldDef>;
}

/** How many rows stand on each side of a relation. */
export type RelationType = 'one-to-one' | 'many-to-one' | 'one-to-many' | 'many-to-many';

/** A write that is passed on to the rows on the other side. */
export type CascadeType = 'persist' | 'merge' | 'remove' | 'all';

/** Whether a read loads the other side. */
export type FetchType = 'lazy' | 'eager';

/** What becomes of a row when the one that it refers to is deleted. */
export type OnDeleteAction = 'cascade' | 'set-null' | 'restrict' | 'no-action';

/** A relation to another entity. */
export interface RelationDef {
  type: RelationType;
  /** The name of the entity on the other side. */
  target: string;
  /** Whether a reference must be given. */
  required?: boolean;
  /** Whether the reference may be `null`; by default it may unless it is required. */
  nullable?: boolean;
  /** The fields read of the other side; by default all. */
  select?: string[];
  /** The junction table of a many-to-many relation; by default named after the collection and the relation. */
  through?: string;
  /** The reference column, or this side's column in the junction. */
  joinColumn?: string;
  /** The other side's column in the junction. */
  inverseJoinColumn?: string;
  /** The other side's relation, or its column, that stores this one. */
  mappedBy?: string;
  /**
   * The writes passed on to the rows on the other side: `persist` inserts new ones, `merge` changes or inserts them,
   * `remove` deletes them with the row, `all` or `true` is all of these.
   */
  cascade?: boolean | string | string[];
  /** Whether a row that an update no longer lists is deleted. */
  orphanRemoval?: boolean;
  /** Whether every read loads the other side; `lazy` by default. */
  fetch?: FetchType;
  /**
   * What becomes of this row when the one that it refers to is deleted; by default the reference becomes `null` where
   * it may, and else the delete is refused.
   */
  onDelete?: OnDeleteAction;
}

/** The order of a column in an index; `text` is for searches. */
export type IndexType = 'asc' | 'desc' | 'text';

/** A secondary index. */
export interface IndexDef {
  /** The columns, outermost first. */
  fields: Record<string, IndexType> | string[];
  unique?: boolean;
  /** Whether rows without a value are left out. */
  sparse?: boolean;
}

/** An entity as it is declared; missing `fields`, `relations` and `indexes` mean empty. */
export interface EntityDeclaration {
  /** The entity's name, such as `User`. */
  name: string;
  /** The table or collection, without any prefix; by default the name in lower case. */
  collection?: string;
  fields?: Record<string, FieldDef>;
  relations?: Record<string, RelationDef>;
  indexes?: IndexDef[];
  /** Whether `createdAt` and `updatedAt` are managed. */
  timestamps?: boolean;
  /** The column that tells entities of one collection apart. */
  discriminator?: string;
  /** This entity's value in the discriminator; by default the entity's name. */
  discriminatorValue?: string;
  /** Whether `delete` only sets `deletedAt`. */
  softDelete?: boolean;
}

/** An entity with every part in place, as the registry gives it. */
export interface EntitySchema extends EntityDeclaration {
  collection: string;
  fields: Record<string, FieldDef>;
  relations: Record<string, RelationDef>;
  indexes: IndexDef[];
  timestamps: boolean;
}
