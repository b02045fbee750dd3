import eslint from '@eslint/js';
import hooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

// Run at the root of the repository: the live views' scripts are checked like the panel's.
const unsafeMarkup = 'Names and logs come from strangers: render them as React text.';

export default tseslint.config(
  { ignores: ['lib', 'node_modules', 'coverage', 'style', '.yarn'].map(name => `labextension/${name}`) },
  eslint.configs.recommended,
  {
    files: ['labextension/src/**/*.{ts,tsx}', 'jupyter_pyserve/notebook/widgets/*.js'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: import.meta.dirname } },
    plugins: { 'react-hooks': hooks },
    rules: {
      ...hooks.configs.recommended.rules,
      eqeqeq: 'error',
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { property: 'innerHTML', message: unsafeMarkup },
        { property: 'outerHTML', message: unsafeMarkup },
        { property: 'insertAdjacentHTML', message: unsafeMarkup },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: unsafeMarkup },
      ],
      '@typescript-eslint/naming-convention': [
        'error',
        { selector: 'interface', format: ['PascalCase'], custom: { regex: '^I[A-Z]', match: true } },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['labextension/src/__tests__/**'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  {
    files: ['labextension/*.config.{js,mjs}'],
    languageOptions: { globals: { module: 'writable', require: 'readonly', __dirname: 'readonly' } },
  },
);
