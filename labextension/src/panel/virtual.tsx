/**
 * A list of which only what is in sight is drawn: rows of one height, however many there are.
 */

import * as React from 'react';

const OVERSCAN = 4;

/** What a list is taken to be high before it was measured, and where nothing can be measured. */
const UNMEASURED_PX = 600;

type ContainerProps = Omit<React.HTMLAttributes<HTMLDivElement>, 'children' | 'onScroll'>;

export interface IVirtualListProps<Item> extends ContainerProps {
  readonly items: readonly Item[];
  readonly rowHeight: number;
  readonly render: (item: Item, index: number) => React.ReactElement;
  /** Is scrolled into sight when it changes. */
  readonly activeIndex?: number;
  /** Stays at the end while rows are added, unless the user scrolled away from it. */
  readonly followEnd?: boolean;
}

export function VirtualList<Item>(props: IVirtualListProps<Item>): React.ReactElement {
  const { items, rowHeight, render, activeIndex = -1, followEnd = false, ...container } = props;
  const box = React.useRef<HTMLDivElement>(null);
  const atEnd = React.useRef(true);
  const [top, setTop] = React.useState(0);
  const height = useHeight(box);

  React.useLayoutEffect(() => {
    if (box.current !== null && activeIndex >= 0) {
      scrollTo(box.current, activeIndex * rowHeight, rowHeight, height);
    }
  }, [activeIndex, rowHeight, height]);

  React.useLayoutEffect(() => {
    if (box.current !== null && followEnd && atEnd.current) {
      box.current.scrollTop = box.current.scrollHeight;
    }
  }, [items, followEnd, height]);

  const first = Math.max(0, Math.min(Math.floor(top / rowHeight), items.length) - OVERSCAN);
  const end = Math.min(items.length, Math.ceil((top + height) / rowHeight) + OVERSCAN);
  const before = first * rowHeight;
  return (
    <div
      {...container}
      ref={box}
      onScroll={event => {
        const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
        atEnd.current = scrollTop + clientHeight >= scrollHeight - rowHeight;
        setTop(scrollTop);
      }}
    >
      <div role="none" style={{ boxSizing: 'border-box', height: items.length * rowHeight, paddingTop: before }}>
        {items.slice(first, end).map((item, index) => render(item, first + index))}
      </div>
    </div>
  );
}

function scrollTo(box: HTMLElement, rowTop: number, rowHeight: number, height: number): void {
  if (rowTop < box.scrollTop) {
    box.scrollTop = rowTop;
  } else if (rowTop + rowHeight > box.scrollTop + height) {
    box.scrollTop = rowTop + rowHeight - height;
  }
}

function useHeight(box: React.RefObject<HTMLElement>): number {
  const [height, setHeight] = React.useState(UNMEASURED_PX);
  React.useLayoutEffect(() => {
    const element = box.current;
    if (element === null || typeof ResizeObserver === 'undefined') {
      return undefined;
    }
    const measure = (): void => {
      setHeight(element.clientHeight || UNMEASURED_PX);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => {
      observer.disconnect();
    };
  }, [box]);
  return height;
}
