// The text format of Prometheus: families of samples with their help and type.

/** The labels of a sample. */
export type Labels = Record<string, string>;

/** A sample; what has no value is left out. `suffix` stands after the name of its family, as `_sum` does. */
export type Sample = [labels: Labels, value: number | undefined, suffix?: string];

/** A family of samples; no text at all where no sample has a value. */
export function familyText(type: 'gauge' | 'counter' | 'histogram' | 'summary', name: string, help: string, samples: readonly Sample[]): string {
  const lines = samples.flatMap(([labels, value, suffix = '']) => (value === undefined ? [] : [`${name}${suffix}${labelText(labels)} ${value}\n`]));
  return lines.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function labelText(labels: Labels): string {
  const escaped = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
