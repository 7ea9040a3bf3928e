// VitePress' own theme with the system's fonts: pages load nothing but the site.
import Theme from 'vitepress/theme-without-fonts'
import './style.css'

export default Theme
